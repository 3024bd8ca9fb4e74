"""What was done to the system, and when."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Timeline:
    """The faults of one run, in the order in which they really happened.

    Attributes:
        due: kinds of faults that a run is worth nothing without.
    """

    started: float = field(default_factory=time.monotonic)
    entries: list[tuple[float, str]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    due: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        """Note something that is no fault."""
        self.entries.append((time.monotonic() - self.started, text))

    def fault(self, kind: str, text: str = "") -> None:
        """Note a fault that has just happened."""
        self.fired[kind] += 1
        self.note(f"{kind} {text}".rstrip())

    def text(self) -> str:
        return "\n".join(f"  {at:7.2f} s  {what}" for at, what in self.entries)
