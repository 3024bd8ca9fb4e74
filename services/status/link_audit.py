"""The audit of download links: who was given which, at most one row an hour for each user and request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.postgres.audit import record_links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from exhaust.postgres.database import Database

RECORD_AGAIN_AFTER: Final = timedelta(hours=1)
MAX_REMEMBERED: Final = 100_000


class LinkAudit:
    """Records links before they leave. What was recorded is remembered in this process alone."""

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
        self._recorded: OrderedDict[tuple[int, UUID], float] = OrderedDict()
        self._writing = asyncio.Lock()

    async def record(self, links: Sequence[tuple[int, UUID]]) -> None:
        """Record that users (by id) receive the links of requests, unless they received them within the hour."""
        if not self._unrecorded(links):
            return
        async with self._writing:  # calls that show the same links at once write them once
            new = self._unrecorded(links)
            if not new:
                return
            async with self._database.transaction() as connection:
                await record_links(connection, new)
            now = self._clock()
            for link in new:
                self._recorded.pop(link, None)
                self._recorded[link] = now
            while len(self._recorded) > self._max_remembered:
                self._recorded.popitem(last=False)

    def _unrecorded(self, links: Sequence[tuple[int, UUID]]) -> list[tuple[int, UUID]]:
        oldest = self._clock() - RECORD_AGAIN_AFTER.total_seconds()
        return [link for link in dict.fromkeys(links) if self._recorded.get(link, oldest) <= oldest]
