"""How much memory a process takes while it works."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

_EVERY_S: Final = 0.02
_RSS: Final = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


class AddedMemory:
    """Looks at a process again and again, as long as the `with` block lasts.

    Attributes:
        added: the highest resident set that was seen, beyond that at the beginning, in bytes.
    """

    def __init__(self, pid: int) -> None:
        self.added = 0
        self._status = Path(f"/proc/{pid}/status")
        self._before = 0
        self._end = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._before = self._resident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY_S):
            self.added = max(self.added, self._resident() - self._before)

    def _resident(self) -> int:
        found = _RSS.search(self._status.read_text())
        return int(found[1]) * 1024 if found else 0
