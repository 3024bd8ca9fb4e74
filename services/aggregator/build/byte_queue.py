"""A queue that is full when what waits in it is too large, rather than too many."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Item = TypeVar("Item")


class ByteQueue(Generic[Item]):
    """Hands items from one task to another, in order."""

    def __init__(self, limit: int) -> None:
        """Prepare.

        Args:
            limit: bytes that may wait; an item of any size fits when nothing waits.
        """
        self._limit = limit
        self._items: deque[tuple[Item, int]] = deque()
        self._waiting = 0
        self._changed = asyncio.Condition()
        self._ended = False

    async def put(self, item: Item, size: int) -> None:
        """Add an item as soon as there is room for its bytes."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting or self._waiting + size <= self._limit)
            self._items.append((item, size))
            self._waiting += size
            self._changed.notify_all()

    async def end(self) -> None:
        """No more items will come."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def items(self) -> AsyncGenerator[Item, None]:
        """All items, until the end."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    return
                item, size = self._items.popleft()
                self._waiting -= size
                self._changed.notify_all()
            yield item
