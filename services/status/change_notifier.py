"""The notifier that wakes calls which wait for a change of a request."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID


class ChangeNotifier:
    """Wakes the waiting calls of this process. It does not know of changes that another replica has made."""

    def __init__(self) -> None:
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)

    def notify(self, request_id: UUID) -> None:
        """Wake the calls that wait for a request."""
        for event in self._waiting.get(request_id, ()):
            event.set()

    async def wait(self, request_id: UUID, max_wait: timedelta) -> None:
        """Return after the next change of a request, or after that time."""
        event = asyncio.Event()
        self._waiting[request_id].add(event)
        try:
            async with asyncio.timeout(max_wait.total_seconds()):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[request_id].discard(event)
            if not self._waiting[request_id]:
                del self._waiting[request_id]
