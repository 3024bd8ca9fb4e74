"""The operations of the API that this package calls, as typed results and typed errors."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from telemetry_exhaust.calls import Calls, text_of
from telemetry_exhaust.dates import ranges_of
from telemetry_exhaust.errors import AccessError, UnknownOperationError, UsageError
from telemetry_exhaust.resource_ids import resource_id
from telemetry_exhaust.status import read_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from telemetry_exhaust.http import Http
    from telemetry_exhaust.profile import Profile
    from telemetry_exhaust.status import Status

WAIT_SECONDS: Final = 30
_PAGE: Final = 100
_DAYS: Final = 62  # of one call
_REQUESTS: Final = "/v2/datasets/requests"


@dataclass(frozen=True)
class Wanted:
    """Data that is asked for in one request.

    Attributes:
        owner: the plain id of the partner or channel.
        first, last: days, both included, at most 31.
    """

    dataset: str
    owner: str
    first: date
    last: date
    tags: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The resource id."""
        return resource_id(self.owner)

    def path(self, more: str = "") -> str:
        """The path of an operation on it."""
        place = "/".join(quote(part, safe="") for part in (self.dataset, self.resource))
        query = urlencode([("tags[]", tag) for tag in self.tags])
        return f"/v2/datasets/{place}/{self.first}/{self.last}{more}{'?' if query else ''}{query}"


class Api:
    """Calls to one gateway with one license key; what an older gateway lacks is an UnknownOperationError."""

    def __init__(self, profile: Profile, http: Http) -> None:
        self._profile = profile
        self.calls = Calls(profile, http)
        self._has_downloads = True

    def submit(self, wanted: Wanted, idempotency_key: str) -> str:
        """Submit a request, and return its id.

        Raises:
            AccessError: the key is not valid, or has no grant.
            ExhaustError: the gateway refuses it, or cannot be reached.
        """
        who = {"partnerid": wanted.owner, "username": self._profile.username}
        result = self.calls.post(wanted.path(), who, headers={"Idempotency-Key": idempotency_key})
        return text_of(result, "requestid")

    def estimate(self, wanted: Wanted) -> dict[str, Any]:
        """Return how long a request would take, and how large its download would be, without making it."""
        who = {"partnerid": wanted.owner, "username": self._profile.username}
        return self.calls.keyed("POST", wanted.path("/estimate"), who)

    def status(self, request: str, *, wait: int = 0) -> Status:
        """Return how a request stands; with `wait`, when it has ended or after so many seconds.

        Raises:
            ExhaustError: there is no such request, or the gateway cannot be reached.
        """
        query = f"?wait={min(wait, WAIT_SECONDS)}" if wait else ""
        return read_status(request, self.calls.post(f"{_status(request)}{query}"), self._profile.gateway)

    def status_document(self, request: str) -> dict[str, Any]:
        """Return what the API tells of a request, as it tells it."""
        return self.calls.post(_status(request))

    def download_link(self, request: str, *, partial: bool = False) -> str | None:
        """Return a link to the download of a request; None when the gateway tells it in the status alone.

        Args:
            partial: that of a failed request, which holds the days that did not fail.
        """
        if not self._has_downloads:
            return None
        try:
            return self.calls.location(f"{_one(request)}/download", [("part", "finished")] if partial else ())
        except UnknownOperationError:
            self._has_downloads = False
            return None

    def cancel(self, request: str) -> dict[str, Any]:
        """Cancel a request, and return the receipt.

        Raises:
            RequestFailedError: it has ended.
        """
        return self.calls.post(_status(request), method="DELETE")

    def retry(self, request: str) -> dict[str, Any]:
        """Have a failed request tried again, and return its attempt.

        Raises:
            RequestFailedError: it has not failed.
        """
        return self.calls.keyed("POST", f"{_one(request)}/retry", {})

    def delete(self, request: str) -> dict[str, Any]:
        """Remove a request that has ended, and its download.

        Raises:
            RequestFailedError: it is in progress.
        """
        return self.calls.keyed("DELETE", _one(request))

    def requests(self, owner: str | None = None) -> Iterator[dict[str, Any]]:
        """Return requests, newest first, as the API tells them: those of a partner, or all that the key may see."""
        query = [("limit", str(_PAGE))]
        while True:
            if owner is None:
                result = self.calls.keyed("GET", _REQUESTS, query=query)
            else:
                result = self.calls.post(f"{_one(owner)}?{urlencode(query)}")
            yield from result.get("requests", [])
            if "next" not in result:
                return
            query = [*query[:1], ("next", str(result["next"]))]

    def me(self) -> dict[str, Any]:
        """Return what the API tells of the license key: client, grants, limits, datasets."""
        return self.calls.keyed("GET", "/v2/me")

    def days(self, dataset: str, owner: str, first: date, last: date) -> Iterator[dict[str, Any]]:
        """Return what is known of each day of a range, as the API tells it."""
        place = [("dataset", dataset), ("resource", resource_id(owner))]
        for start, end in ranges_of(first, last, _DAYS):
            query = [*place, ("from", str(start)), ("to", str(end))]
            yield from self.calls.keyed("GET", "/v2/days", query=query).get("days", [])

    def check_key(self) -> None:
        """Return when the gateway takes the license key.

        Raises:
            AccessError: it does not.
        """
        try:
            self.status(str(uuid.uuid4()))
        except UsageError as error:
            if error.code != "INVALID_REQUESTID":
                raise

    def may_read(self, owner: str) -> bool:
        """Return True when the key has a grant for a partner or channel.

        Raises:
            AccessError: the gateway does not take the key.
        """
        try:
            self.calls.post(f"{_one(owner)}?limit=1")
        except AccessError as error:
            if error.code != "AUTHORIZATION_FAILED":
                raise
            return False
        return True


def _one(name: str) -> str:
    return f"{_REQUESTS}/{quote(name, safe='')}"


def _status(request: str) -> str:
    return f"{_REQUESTS}/status/{quote(request, safe='')}"
