"""The speed at which a caller reads an answer, over the time in which the listener waits for the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class ReadingSpeed:
    """Measures one caller. Time in which the caller has read everything does not count.

    Args:
        window: over which the speed is averaged.
        least: bytes a second that a caller must read.
    """

    def __init__(self, window: timedelta, least: int) -> None:
        self._window = window.total_seconds()
        self._least = least
        self._since: float | None = None
        self._unread = 0
        self._waited = 0.0
        self._read = 0

    def start_waiting(self, now: float, unread: int) -> None:
        """Note that the listener waits for the caller from now on, with so many bytes unread."""
        self._since, self._unread = now, unread

    def stop_waiting(self) -> None:
        """Note that the caller has made room again; the time since the last look counts for nothing."""
        self._since = None

    def seconds_left(self) -> float:
        """Return the waiting time after which the window is full."""
        return max(0.0, self._window - self._waited)

    def is_too_slow(self, now: float, unread: int) -> bool:
        """Return True when the window is full and the caller read too little in it; a full window begins anew."""
        self._count(now, unread)
        if self._waited < self._window:
            return False
        slow = self._read < self._least * self._waited
        self._waited, self._read = 0.0, 0
        return slow

    def _count(self, now: float, unread: int) -> None:
        if self._since is not None:
            self._waited += now - self._since
            self._read += max(0, self._unread - unread)
            self._since, self._unread = now, unread
