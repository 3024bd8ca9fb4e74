"""The client of a gateway: asks for data, waits, and downloads it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.api import Api, Wanted
from telemetry_exhaust.dates import parse_range, ranges_of
from telemetry_exhaust.errors import UsageError
from telemetry_exhaust.export import Export
from telemetry_exhaust.fetching import Fetcher, Watcher
from telemetry_exhaust.http import Http
from telemetry_exhaust.profile import Profile, load_profile
from telemetry_exhaust.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from telemetry_exhaust.status import Status

SILENT: Final = Watcher(lambda _status: None, lambda _done, _size: None)


class Client:
    """One gateway, called with one license key."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.http = Http(ca_bundle=profile.ca_bundle)
        self.api = Api(profile, self.http)
        self.fetcher = Fetcher(self.api, self.http, profile)

    @classmethod
    def from_profile(cls, name: str | None = None) -> Client:
        """Return the client of a profile of `exhaust login`; variables of the environment come first.

        Raises:
            UsageError: there is no such profile, or no gateway.
            AccessError: there is no license key.
        """
        return cls(load_profile(name))

    def owner(self, partner: str | None = None, channel: str | None = None) -> str:
        """Return the plain id whose data is asked for, from the arguments or else from the profile.

        Raises:
            UsageError: both are given, or neither is known.
        """
        if partner and channel:
            raise UsageError("name a partner or a channel, not both")
        found = partner or channel or self.profile.partner or self.profile.channel
        if not found:
            raise UsageError("name the partner or the channel: --partner org.example.partner.maple")
        return found

    def wanted(
        self,
        start: str | date,
        end: str | date,
        *,
        owner: str,
        dataset: str | None = None,
        tags: Sequence[str] = (),
    ) -> list[Wanted]:
        """Return the requests that a range of days takes, each of at most 31 days.

        Raises:
            UsageError: the range is none.
        """
        name = dataset or self.profile.dataset
        first, last = parse_range(str(start), str(end))
        return [Wanted(name, owner, *ends, tuple(sorted(tags))) for ends in ranges_of(first, last)]

    def get(
        self,
        *,
        partner: str | None = None,
        channel: str | None = None,
        start: str | date = "yesterday",
        end: str | date = "yesterday",
        dataset: str | None = None,
        tags: Sequence[str] = (),
        folder: str | Path = ".",
        watcher: Watcher = SILENT,
        within: float | None = None,
    ) -> Export:
        """Get days into a folder, one file a request, and return them. What is there already is not downloaded again.

        Args:
            partner, channel: the plain id of whose data it is; without them, that of the profile.
            start, end: days, both included: a date, `2026-11-01`, `yesterday`, or `7d` for seven days ago.
            tags: only events that have one of them.
            folder: where the files go.
            watcher: is told how far it is.
            within: seconds to wait for a request at most.

        Raises:
            UsageError: an argument is wrong.
            AccessError: the key is not valid, or has no grant.
            RequestFailedError: the platform could not fulfil a request.
            ExhaustError: the gateway or the store cannot be reached, or refuses.
        """
        owner = self.owner(partner, channel)
        paths = []
        for wanted in self.wanted(start, end, owner=owner, dataset=dataset, tags=tags):
            target = Path(folder) / file_name(wanted)
            paths.append(self.fetcher.fetch(wanted, target, watcher, within=within).path)
        return Export(paths)

    def requests(
        self, *, partner: str | None = None, channel: str | None = None, everybody: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Return requests, newest first, as the API tells them.

        Args:
            partner, channel: whose; without them those of the profile's, or all when it names nobody.
            everybody: all that the key may see.
        """
        profile = self.profile
        if everybody or not (partner or channel or profile.partner or profile.channel):
            return self.api.requests()
        return self.api.requests(self.owner(partner, channel))

    def days(
        self,
        *,
        partner: str | None = None,
        channel: str | None = None,
        start: str | date = "31d",
        end: str | date = "yesterday",
        dataset: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Return what is known of each day of a range, as the API tells it, without asking for data."""
        first, last = parse_range(str(start), str(end))
        return self.api.days(dataset or self.profile.dataset, self.owner(partner, channel), first, last)

    def status(self, request: str, *, wait: int = 0) -> Status:
        """Return how a request stands; with `wait`, when it has ended or after so many seconds, 30 at most."""
        return self.api.status(request, wait=wait)

    def cancel(self, request: str) -> dict[str, Any]:
        """Cancel a request, and return the receipt."""
        return self.api.cancel(request)

    def retry(self, request: str) -> dict[str, Any]:
        """Have a failed request tried again: only the days that failed are built."""
        return self.api.retry(request)

    def delete(self, request: str) -> dict[str, Any]:
        """Remove a request that has ended, and its download."""
        return self.api.delete(request)

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the license key."""
        return Webhooks(self.api.calls)


def file_name(wanted: Wanted) -> str:
    """Return the name of the file for what is wanted, which tags are a part of."""
    tagged = f"_{hashlib.sha256(repr(wanted.tags).encode()).hexdigest()[:8]}" if wanted.tags else ""
    return f"{wanted.dataset}_{wanted.first}_{wanted.last}{tagged}.zip"
