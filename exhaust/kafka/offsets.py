"""Which records of a partition are finished, and so how far the group may commit."""

from __future__ import annotations


class OffsetLedger:
    """The records of one partition that were taken and not yet committed.

    Records finish in any order. What may be committed is the offset behind the longest run of finished records from
    the oldest on: a crash then repeats some finished records, and never loses an unfinished one.
    """

    def __init__(self) -> None:
        self._finished: dict[int, bool] = {}  # in the order taken, which is offset order

    def take(self, offset: int) -> None:
        """Note a record that begins to be worked on. Offsets must grow."""
        self._finished[offset] = False

    def finish(self, offset: int) -> None:
        """Note that a record needs no more work; one that was not taken here, but before a rebalance, is ignored."""
        if offset in self._finished:
            self._finished[offset] = True

    def committable(self) -> int | None:
        """The offset to commit (the next to be read), or None when nothing new is finished."""
        behind = None
        for offset, finished in self._finished.items():
            if not finished:
                break
            behind = offset + 1
        return behind

    def committed(self, behind: int) -> None:
        """Forget what a successful commit of this offset covers."""
        for offset in [offset for offset in self._finished if offset < behind]:
            del self._finished[offset]
