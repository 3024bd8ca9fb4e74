"""What was done to the system, and when."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

ECHO: Final = "CHAOS_ECHO"  # a variable that has each entry printed as it comes


@dataclass(slots=True)
class Timeline:
    """The faults of one run, in the order in which they really happened.

    Attributes:
        due: kinds of faults that a run is worth nothing without.
        slow: what took longer than it may.
        wrong: what a scenario saw by itself that must not be.
    """

    started: float = field(default_factory=time.monotonic)
    entries: list[tuple[float, str]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    due: set[str] = field(default_factory=set)
    slow: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Note something that is no fault."""
        self.entries.append((time.monotonic() - self.started, text))
        if ECHO in os.environ:
            print(f"{self.entries[-1][0]:7.2f} s  {text}", file=sys.stderr, flush=True)

    def fault(self, kind: str, text: str = "") -> None:
        """Note a fault that has just happened."""
        self.fired[kind] += 1
        self.note(f"{kind} {text}".rstrip())

    def text(self) -> str:
        return "\n".join(f"  {at:7.2f} s  {what}" for at, what in self.entries)
