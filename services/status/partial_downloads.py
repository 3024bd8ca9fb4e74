"""The partial downloads of failed requests: looked for in the store, and remembered for a short time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.requests import DatasetRequest
from exhaust.errors import ExhaustError
from services.status.claims import RefusedCompletionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

    from exhaust.postgres.request_views import RequestView
    from services.status.archive_check import ArchiveCheck, PartialDownload

PRESENT_FOR: Final = timedelta(minutes=1)
ABSENT_FOR: Final = timedelta(seconds=2)  # the last day of a request may settle at any time
LOOK_TIMEOUT: Final = timedelta(seconds=0.5)  # so long a store that hangs may delay the answers of all who ask
MAX_REMEMBERED: Final = 10_000


class PartialDownloads:
    """Finds partial downloads. While the store is away there is none."""

    def __init__(self, archives: ArchiveCheck, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            archives: looks at the store.
            clock: monotonic seconds.
        """
        self._archives = archives
        self._clock = clock
        self._away_until = 0.0
        self._known: OrderedDict[tuple[UUID, int], tuple[float, PartialDownload | None]] = OrderedDict()

    async def find(self, failed: Iterable[RequestView]) -> Mapping[UUID, PartialDownload]:
        """Return the partial downloads of failed requests, as far as there are any."""
        views = list(failed)
        found = await asyncio.gather(*map(self._find, views))
        return {view.request_id: each for view, each in zip(views, found, strict=True) if each is not None}

    async def _find(self, view: RequestView) -> PartialDownload | None:
        key = (view.request_id, view.attempt)
        until, known = self._known.get(key, (0.0, None))
        now = self._clock()
        if now < max(until, self._away_until):
            return known
        try:
            async with asyncio.timeout(LOOK_TIMEOUT.total_seconds()):
                found = await self._archives.partial(_asked(view), view.attempt)
        except RefusedCompletionError:
            found = None
        except (ExhaustError, TimeoutError):
            self._away_until = now + ABSENT_FOR.total_seconds()
            return None
        keep = PRESENT_FOR if found else ABSENT_FOR
        self._known[key] = now + keep.total_seconds(), found
        self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return found


def _asked(view: RequestView) -> DatasetRequest:
    return DatasetRequest(view.request_id, view.dataset, view.resource, view.days, view.tags)
