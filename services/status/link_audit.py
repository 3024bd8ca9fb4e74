"""The audit of downloads: who followed one, and to whom a status showed a link.

The database has the rule, so it holds for all processes together. This process remembers for a short time what it has
asked, so that polls cost nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.postgres.audit import Action, record_downloads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from exhaust.postgres.database import Database

LINK_AGAIN_AFTER: Final = timedelta(hours=1)
DOWNLOAD_AGAIN_AFTER: Final = timedelta(minutes=15)  # until then it is the same download, resumed or in parts
REMEMBERED_FOR: Final = timedelta(minutes=5)
MAX_REMEMBERED: Final = 100_000


class LinkAudit:
    """Records downloads, and links of statuses, before they leave."""

    def __init__(self, database: Database, clock: Callable[[], float], *, max_remembered: int = MAX_REMEMBERED) -> None:
        """Prepare.

        Args:
            database: with the audit.
            clock: monotonic seconds.
            max_remembered: pairs of user and request; the one that was recorded longest ago is forgotten first.
        """
        self._database = database
        self._clock = clock
        self._max_remembered = max_remembered
        self._recorded: OrderedDict[tuple[int, UUID, int], float] = OrderedDict()
        self._writing = asyncio.Lock()

    async def record_download(self, user_id: int, request_id: UUID, *, part: str = "") -> None:
        """Record that a user follows a download; one that goes on with a download of the last minutes is no new one."""
        pair = (user_id, request_id)
        await record_downloads(self._database, Action.DOWNLOAD, [pair], again_after=DOWNLOAD_AGAIN_AFTER, part=part)

    async def record(self, links: Sequence[tuple[int, UUID, int]]) -> None:
        """Record that statuses show users the links of requests: user, request and attempt; once an hour for each."""
        if not self._unrecorded(links):
            return
        async with self._writing:  # calls that show the same links at once write them once
            new = self._unrecorded(links)
            if not new:
                return
            pairs = [(user_id, request_id) for user_id, request_id, _ in new]
            await record_downloads(self._database, Action.DOWNLOAD_LINK, pairs, again_after=LINK_AGAIN_AFTER)
            now = self._clock()
            for link in new:
                self._recorded.pop(link, None)
                self._recorded[link] = now
            while len(self._recorded) > self._max_remembered:
                self._recorded.popitem(last=False)

    def _unrecorded(self, links: Sequence[tuple[int, UUID, int]]) -> list[tuple[int, UUID, int]]:
        oldest = self._clock() - REMEMBERED_FOR.total_seconds()
        return [link for link in dict.fromkeys(links) if self._recorded.get(link, oldest) <= oldest]
