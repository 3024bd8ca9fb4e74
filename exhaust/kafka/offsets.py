"""How far a group may commit in a partition whose records finish in any order."""

from __future__ import annotations


class OffsetTracker:
    """The records of one partition that were started and are not committed yet.

    The group may commit up to the first unfinished record. So a crash repeats some finished records, and never loses
    an unfinished one.
    """

    def __init__(self) -> None:
        self._finished: dict[int, bool] = {}  # in the order of their start, which is offset order

    def start(self, offset: int) -> None:
        """Track a record whose work begins. Offsets must grow."""
        self._finished[offset] = False

    def finish(self, offset: int) -> None:
        """Mark a record as finished. One that is not tracked, because it began before a rebalance, is ignored."""
        if offset in self._finished:
            self._finished[offset] = True

    def next_offset(self) -> int | None:
        """Return the offset to commit, which is the next one to read; None when there is nothing new to commit."""
        following = None
        for offset, finished in self._finished.items():
            if not finished:
                break
            following = offset + 1
        return following

    def forget_before(self, committed: int) -> None:
        """Stop tracking the records before an offset that has been committed."""
        for offset in [offset for offset in self._finished if offset < committed]:
            del self._finished[offset]
