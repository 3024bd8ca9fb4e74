"""The slots of a loop: how many pieces of work it does at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# So many times its slots may wait without one. Beyond that, waiting work keeps its slot, and the loop takes less.
WAITING_PER_SLOT: Final = 10


class Slots:
    """The slots of one loop. Work takes one when it starts, and while it waits it may leave it to other work."""

    def __init__(self, number: int) -> None:
        self._number = number
        # For work that has failed before: however much of it there is, other work gets the other half of the slots.
        self._places_to_try_again = asyncio.Semaphore(max(number // 2, 1))
        self._taken = 0
        self._vacant = 0
        self._idle: set[asyncio.Task[Any]] = set()
        self._stopping = False

    @property
    def free(self) -> int:
        """How much more work may start; negative when work came back to its slot meanwhile."""
        return self._number - self._taken

    @property
    def idle(self) -> int:
        """How many pieces of work wait."""
        return len(self._idle)

    def take(self) -> None:
        """Take a slot for work that starts."""
        self._taken += 1

    def give_back(self) -> None:
        """Give back the slot of work that has ended."""
        self._taken -= 1

    @contextmanager
    def wait_in_slot(self) -> Iterator[None]:
        """Mark the present task as idle for the time of the block: a stop ends it at once."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._idle.add(task)
        if self._stopping:
            task.cancel()
        try:
            yield
        finally:
            self._idle.discard(task)

    @contextmanager
    def wait_outside(self) -> Iterator[bool]:
        """Leave the slot to other work for the time of the block, and be idle. At its end the slot is taken again.

        Yields:
            False when too many wait outside, so that the slot is kept.
        """
        leaves = self._vacant < self._number * WAITING_PER_SLOT
        self._move_out(leaves)
        try:
            with self.wait_in_slot():
                yield bool(leaves)
        finally:
            self._move_out(-leaves)

    @asynccontextmanager
    async def try_again(self, *, is_outside: bool) -> AsyncIterator[None]:
        """Within wait_outside, be at work for the time of the block. At most half of the slots are there for that.

        Args:
            is_outside: what wait_outside yielded.
        """
        async with self._places_to_try_again:
            task = asyncio.current_task()
            self._move_out(-is_outside)
            self._idle -= {task}
            try:
                yield
            finally:
                self._move_out(+is_outside)
                if task is not None:
                    self._idle.add(task)
                    if self._stopping:
                        task.cancel()

    def _move_out(self, number: int) -> None:
        self._taken -= number
        self._vacant += number

    def cancel_idle(self) -> None:
        """Cancel the work that waits, now and later. It is done when the process, or another, reads it again."""
        self._stopping = True
        for task in self._idle:
            task.cancel()
