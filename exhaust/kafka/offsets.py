"""How far a group may commit in a partition whose records finish in any order."""

from __future__ import annotations


class OffsetTracker:
    """Everything that this process knows of the offsets of one partition.

    It outlives rebalances: what was finished before one is not worked on again after it, and what was ever committed
    is neither read again nor taken back. The group may commit up to the first unfinished record. So a crash repeats
    some finished records, and never loses an unfinished one.
    """

    def __init__(self) -> None:
        self._floor: int | None = None
        self._position: int | None = None
        self._start = 0
        self._unfinished: set[int] = set()  # of this assignment; no larger than the loop's concurrency
        self._finished: set[int] = set()  # not committed yet
        self._rewound = False

    @property
    def floor(self) -> int | None:
        """The greatest offset that is known to have been committed for the group."""
        return self._floor

    @property
    def position(self) -> int | None:
        """The offset of the record to read next; None while this process does not read the partition."""
        return self._position

    def start_at(self, offset: int) -> int:
        """Begin to read at an offset, or at the floor if that is greater. Return where reading begins."""
        start = offset if self._floor is None else max(offset, self._floor)
        self._start = self._position = start
        self._unfinished.clear()
        self._forget_before(start)
        return start

    def release(self) -> None:
        """Stop reading: the partition is another member's until start_at is called again."""
        self._position = None
        self._unfinished.clear()

    def take(self, offset: int) -> bool:
        """Note that a record was read. Return False if it was finished before, so that there is nothing to do."""
        self._position = offset + 1
        if offset in self._finished:
            return False
        self._unfinished.add(offset)
        return True

    def pass_to(self, position: int) -> None:
        """Note that there is no record to work on before a position: the marks of transactions have offsets too."""
        if self._position is not None:
            self._position = max(self._position, position)

    def finish(self, offset: int) -> None:
        """Mark a record as finished, in whichever assignment its work began."""
        self._unfinished.discard(offset)
        if self._floor is None or offset >= self._floor:
            self._finished.add(offset)

    def next_offset(self) -> int | None:
        """Return the offset to commit, which is the next one to read; None when there is nothing new to commit."""
        if self._position is None:
            return None
        following = min(self._unfinished, default=self._position)
        known = self._start if self._floor is None else self._floor
        if following > known or (following == known and self._rewound):
            return following
        return None

    def confirm(self, committed: int) -> None:
        """Note an offset that was committed, by whichever member of the group."""
        if self._floor is None or committed >= self._floor:
            self._floor = committed
            self._rewound = False
            self._forget_before(committed)

    def rewind(self) -> None:
        """Note that Kafka knows less than was committed: the floor is to be committed again."""
        self._rewound = True

    def _forget_before(self, offset: int) -> None:
        self._finished = {finished for finished in self._finished if finished >= offset}
