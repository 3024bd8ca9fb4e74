"""The logs of processes, read as an operator reads them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

WARNINGS: Final = ("warning", "error", "critical")
OF_DRIVERS: Final = "of drivers"  # what libraries say is prose, and names no event


@dataclass(slots=True)
class Log:
    """The log of a process, from a mark on."""

    path: Path
    _from: int = 0

    def mark(self) -> None:
        """Forget what was written before."""
        self._from = self.path.stat().st_size

    def lines(self) -> list[str]:
        """The lines since the mark."""
        with self.path.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace").splitlines()

    def told(self) -> list[dict[str, Any]]:
        """The lines since the mark that are JSON."""
        return [json.loads(line) for line in self.lines() if line.startswith("{")]

    def events(self, *levels: str) -> Counter[str]:
        """How often each event was logged since the mark, at these levels, or at any; OF_DRIVERS stands for prose."""
        return Counter(line.get("event", OF_DRIVERS) for line in self.told() if not levels or line["level"] in levels)

    def has(self, event: str) -> bool:
        return self.events()[event] > 0
