"""The shares of license keys: how many calls of one kind each holder, and all together, may have at work at once."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.gateway.settings import ShareSettings

MAX_WAITS: Final = 400  # at once, of a gateway; also the connections for them to the status service
MAX_LISTS: Final = 16
MAX_LOOKS: Final = 8
MAX_DOWNLOADS: Final = 1024
MAX_LINKS: Final = 128
MAX_CHANGES: Final = 64
CHANGES_PER_KEY: Final = 8
MAX_EVENT_STREAMS: Final = 200  # also the connections for them to the status service
MAX_STREAMS: Final = 128  # also the connections to S3 for them; each takes two to three MiB of memory


class Share:
    """The places for calls of one kind.

    Args:
        what: the calls, in the plural, as callers read it.
        per_holder: places of one holder of a license key.
        total: places of all holders together.
    """

    def __init__(self, what: str, *, per_holder: int, total: int) -> None:
        self._what = what
        self._per_holder = per_holder
        self._total = total
        self._held: Counter[int] = Counter()
        self._at_work = 0

    def __len__(self) -> int:
        """Return the number of places that are held."""
        return self._at_work

    @contextmanager
    def hold(self, user_id: int) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            ExhaustError: RATE_LIMITED when this holder has its share already, SERVICE_UNAVAILABLE when every place is
                taken.
        """
        if self._held[user_id] >= self._per_holder:
            what = f"this license key has {self._per_holder} {self._what} at work, which is its share"
            raise ExhaustError(ErrorCode.RATE_LIMITED, f"{what}; try again when one of them has ended")
        if self._at_work >= self._total:
            raise ExhaustError(
                ErrorCode.SERVICE_UNAVAILABLE, f"too many {self._what} are at work; try again in a few seconds"
            )
        self._held[user_id] += 1
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            self._held[user_id] -= 1
            if not self._held[user_id]:
                del self._held[user_id]


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of one gateway.

    Attributes:
        waits: status calls with `?wait`.
        lists: list calls.
        downloads: synchronous downloads, from their first look for an archive to their last byte.
        streams: the part of synchronous downloads in which bytes are sent.
        looks: questions about days.
        links: calls that are sent on to a signed link.
        events: streams of a request's progress.
        changes: cancels, retries and deletions.
    """

    waits: Share
    lists: Share
    downloads: Share
    streams: Share
    looks: Share
    links: Share
    events: Share
    changes: Share

    @classmethod
    def of(cls, settings: ShareSettings) -> Shares:
        """Return the shares of the settings, all of them free."""
        per_key = settings.max_downloads_per_key
        return cls(
            waits=Share("waiting status calls", per_holder=settings.max_waits_per_key, total=MAX_WAITS),
            lists=Share("lists", per_holder=settings.max_lists_per_key, total=MAX_LISTS),
            downloads=Share("downloads", per_holder=per_key, total=MAX_DOWNLOADS),
            streams=Share("downloads", per_holder=per_key, total=MAX_STREAMS),
            looks=Share("questions about days", per_holder=settings.max_lists_per_key, total=MAX_LOOKS),
            links=Share("downloads", per_holder=per_key, total=MAX_LINKS),
            events=Share("event streams", per_holder=settings.max_waits_per_key, total=MAX_EVENT_STREAMS),
            changes=Share("cancels, retries and deletions", per_holder=CHANGES_PER_KEY, total=MAX_CHANGES),
        )
