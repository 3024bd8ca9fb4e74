"""The operations of the API that this package calls, as typed results and typed errors."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from telemetry_exhaust.errors import AccessError, ExhaustError, RequestFailedError, UsageError
from telemetry_exhaust.http import Http, host
from telemetry_exhaust.resource_ids import resource_id
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from telemetry_exhaust.profile import Profile

WAIT_SECONDS: Final = 30
_PAGE: Final = 100
_JSON: Final = "application/json"
_OK: Final = (200, 202)
_EXCEPTIONS: Final = {
    400: UsageError,
    401: AccessError,
    403: AccessError,
    404: UsageError,
    409: RequestFailedError,
    422: UsageError,
}
_HELP: Final = {
    "LOGIN_FAILED": "the gateway does not take this license key; run `exhaust login` with a valid one",
    "AUTHORIZATION_FAILED": "this key has no grant for that; ask the operators, or check the id and the dataset",
}


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


@dataclass(frozen=True)
class Status:
    """A request as it is now; fields that the API leaves out are None or empty."""

    request: str
    state: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    events: int | None = None
    days_done: int = 0
    days_total: int = 0
    error_code: str = ""
    error_message: str = ""
    missing_days: tuple[str, ...] = ()
    expired: bool = False

    @property
    def ended(self) -> bool:
        """True when the request is complete or has failed."""
        return self.state != "inprogress"


class Api:
    """Calls to one gateway with one license key."""

    def __init__(self, profile: Profile, http: Http) -> None:
        self._profile = profile
        self._http = http

    def submit(self, wanted: Wanted, idempotency_key: str) -> str:
        """Submit a request, and return its id.

        Raises:
            AccessError: the key is not valid, or has no grant.
            ExhaustError: the gateway refuses it, or cannot be reached.
        """
        place = "/".join(quote(part, safe="") for part in (wanted.dataset, wanted.resource))
        query = urlencode([("tags[]", tag) for tag in wanted.tags])
        path = f"/v2/datasets/{place}/{wanted.first}/{wanted.last}{'?' if query else ''}{query}"
        who = {"partnerid": wanted.owner, "username": self._profile.username}
        result = self._call("POST", path, who, {"Idempotency-Key": idempotency_key})
        return _text(result, "requestid")

    def status(self, request: str, *, wait: int = 0) -> Status:
        """Return how a request stands; with `wait`, when it has ended or after so many seconds.

        Raises:
            ExhaustError: there is no such request, or the gateway cannot be reached.
        """
        query = f"?wait={min(wait, WAIT_SECONDS)}" if wait else ""
        return _status(request, self._call("POST", f"/v2/datasets/requests/status/{quote(request, safe='')}{query}"))

    def status_document(self, request: str) -> dict[str, Any]:
        """Return what the API tells of a request, as it tells it."""
        return self._call("POST", f"/v2/datasets/requests/status/{quote(request, safe='')}")

    def cancel(self, request: str) -> dict[str, Any]:
        """Cancel a request, and return the receipt.

        Raises:
            RequestFailedError: it has ended.
        """
        return self._call("DELETE", f"/v2/datasets/requests/status/{quote(request, safe='')}")

    def requests(self, owner: str) -> Iterator[dict[str, Any]]:
        """Return the requests of a partner, newest first, page by page, as the API tells them."""
        query = {"limit": str(_PAGE)}
        while True:
            result = self._call("POST", f"/v2/datasets/requests/{quote(owner, safe='')}?{urlencode(query)}")
            yield from result.get("requests", [])
            if "next" not in result:
                return
            query["next"] = str(result["next"])

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
            self._call("POST", f"/v2/datasets/requests/{quote(owner, safe='')}?limit=1")
        except AccessError as error:
            if error.code != "AUTHORIZATION_FAILED":
                raise
            return False
        return True

    def _call(
        self, method: str, path: str, fields: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        body = {"params": {"msgid": str(uuid.uuid4())}, "request": {"licenseKey": self._profile.key, **(fields or {})}}
        sent = {"Content-Type": _JSON, "Accept": _JSON, "User-Agent": "telemetry-exhaust-client", **(headers or {})}
        url = self._profile.gateway + path
        answer = self._http.call(method, url, headers=sent, body=json.dumps(body).encode())
        try:
            document = json.loads(answer.data)
            params, result = document["params"], document.get("result", {})
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ExhaustError(
                f"{host(url)} answers {answer.status} with something that is no answer of a gateway; check its address,"
                " and the proxy in between"
            ) from error
        if answer.status in _OK and isinstance(result, dict):
            return result
        raise _error(answer.status, str(params.get("err", "")), str(params.get("errmsg", "")))


def _error(status: int, code: str, message: str) -> ExhaustError:
    said = safe_text(message)
    sentence = f"{_HELP[code]} ({said})" if code in _HELP else said or f"the gateway answers {status}"
    return _EXCEPTIONS.get(status, ExhaustError)(sentence, code=safe_text(code))


def _status(request: str, result: dict[str, Any]) -> Status:
    progress, error = result.get("progress") or {}, result.get("error") or {}
    return Status(
        request=request,
        state=_text(result, "status"),
        url=result.get("downloadurl") or result.get("partialurl"),
        size=result.get("size"),
        sha256=result.get("sha256"),
        events=result.get("events"),
        days_done=int(progress.get("daysdone", 0)),
        days_total=int(progress.get("daystotal", 0)),
        error_code=str(error.get("code", "")),
        error_message=safe_text(error.get("message", "")),
        missing_days=tuple(map(str, result.get("missingdays", ()))),
        expired=bool(result.get("expired", False)),
    )


def _text(result: dict[str, Any], name: str) -> str:
    value = result.get(name)
    if not isinstance(value, str):
        raise ExhaustError(f"the gateway's answer has no {name}; check its address")
    return value
