"""A queue that is limited by the bytes of its items, not by their number."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Item = TypeVar("Item")


class ByteQueue(Generic[Item]):
    """A first-in-first-out queue between two tasks.

    Args:
        limit: bytes that may wait; an item of any size fits when nothing waits.
    """

    def __init__(self, limit: int) -> None:
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
        """End `items` behind the last item."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield the items in order, until `end` was called and none is left."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    return
                item, size = self._items.popleft()
                self._waiting -= size
                self._changed.notify_all()
            yield item
