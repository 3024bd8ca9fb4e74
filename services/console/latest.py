"""A reading that several pages share: nobody waits for a server that hangs, and no second reading starts meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

T = TypeVar("T")


class Latest(Generic[T]):
    """The latest result of a reading, made anew when somebody asks and it has got old.

    Args:
        read: makes a result; what it raises, whoever waits for it gets.
        max_age: of a result.
        within: how long to wait.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, max_age: timedelta, within: timedelta) -> None:
        self._read = read
        self._max_age = max_age.total_seconds()
        self._within = within.total_seconds()
        self._task: asyncio.Future[T] | None = None
        self._began = 0.0

    async def get(self) -> T:
        """Return a result that is young enough.

        Raises:
            TimeoutError: it was not there in time; the reading goes on.
        """
        clock = asyncio.get_running_loop().time
        task = self._task
        if task is None or (task.done() and (_failed(task) or clock() - self._began > self._max_age)):
            self._began = clock()
            task = self._task = asyncio.ensure_future(self._read())
        await asyncio.wait({task}, timeout=self._within)
        if not task.done():
            raise TimeoutError
        return task.result()


def _failed(task: asyncio.Future[T]) -> bool:
    return task.cancelled() or task.exception() is not None
