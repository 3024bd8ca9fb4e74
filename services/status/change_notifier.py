"""Tells calls that wait for a request that something was taken in for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


class ChangeNotifier:
    """Of this process alone: what another replica takes in is seen by looking again after a while."""

    def __init__(self) -> None:
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)

    def notify(self, request_id: UUID) -> None:
        """Wake whoever waits for this request."""
        for event in self._waiting.get(request_id, ()):
            event.set()

    async def wait(self, request_id: UUID, timeout_s: float) -> None:
        """Return after the next change, or when the time is over."""
        event = asyncio.Event()
        self._waiting[request_id].add(event)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[request_id].discard(event)
            if not self._waiting[request_id]:
                del self._waiting[request_id]
