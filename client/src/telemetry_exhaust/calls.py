"""Calls of the API with one license key: the envelope around them, and what is refused as typed errors."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from telemetry_exhaust.errors import (
    AccessError,
    ExhaustError,
    RequestFailedError,
    UnknownOperationError,
    UsageError,
)
from telemetry_exhaust.http import clock_offset, host
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from telemetry_exhaust.http import Http
    from telemetry_exhaust.profile import Profile

_JSON: Final = "application/json"
_OK: Final = frozenset({200, 201, 202})
_REDIRECT: Final = 307
_EXCEPTIONS: Final = {
    400: UsageError,
    401: AccessError,
    403: AccessError,
    404: UsageError,
    409: RequestFailedError,
    422: UsageError,
}
_NO_OPERATION: Final = frozenset({"NOT_FOUND", "METHOD_NOT_ALLOWED"})
_BAD_DATE: Final = "INVALID_DATE"
_CLOCK_SECONDS: Final = 1800  # that a clock may be off without changing the day, but around midnight
_HELP: Final = {
    "LOGIN_FAILED": "the gateway does not take this license key; run `exhaust login` with a valid one",
    "AUTHORIZATION_FAILED": "this key has no grant for that; ask the operators, or check the id and the dataset",
}
_HELP_PAGE: Final = re.compile(r"/[A-Za-z0-9/_.-]*#[A-Za-z0-9_-]+")


class Calls:
    """Calls to one gateway with one license key."""

    def __init__(self, profile: Profile, http: Http) -> None:
        self.profile = profile
        self._http = http

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call an operation that wants the license key in its body, and return its result.

        Raises:
            AccessError: the key is not valid, or has no grant.
            ExhaustError: the gateway refuses it, or cannot be reached.
        """
        answer = self._send(method, path, {"licenseKey": self.profile.key, **(fields or {})}, headers or {})
        return self._result(answer)

    def keyed(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        repeat: bool = True,
    ) -> dict[str, Any]:
        """Call an operation that wants the license key in a header, and return its result; see post.

        Args:
            repeat: a call that got no answer is made again.

        Raises:
            UnknownOperationError: the gateway is older than this operation.
        """
        address = f"{path}?{urlencode(query)}" if query else path
        return self._result(self._send(method, address, fields, {"X-API-Key": self.profile.key}, repeat=repeat))

    def location(self, path: str, query: Sequence[tuple[str, str]] = ()) -> str:
        """Return where an operation sends its caller on to; see keyed."""
        address = f"{path}?{urlencode(query)}" if query else path
        answer = self._send("GET", address, None, {"X-API-Key": self.profile.key})
        link = answer.headers.get("Location", "")
        if answer.status == _REDIRECT and link.startswith(("https://", "http://")):
            return link
        self._result(answer)
        raise ExhaustError(f"{host(self.profile.gateway)} names no download; check its address")

    def _send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        *,
        repeat: bool = True,
    ) -> BaseHTTPResponse:
        sent = {"Accept": _JSON, "User-Agent": "telemetry-exhaust-client", **headers}
        body = None
        if fields is not None:
            sent["Content-Type"] = _JSON
            body = json.dumps({"params": {"msgid": str(uuid.uuid4())}, "request": fields}).encode()
        return self._http.call(method, self.profile.gateway + path, headers=sent, body=body, repeat=repeat)

    def _result(self, answer: BaseHTTPResponse) -> dict[str, Any]:
        try:
            document = json.loads(answer.data)
            params, result = document["params"], document.get("result", {})
            told = dict(params)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ExhaustError(
                f"{host(self.profile.gateway)} answers {answer.status} with something that is no answer of a gateway;"
                " check its address, and the proxy in between"
            ) from error
        if answer.status in _OK and isinstance(result, dict):
            return result
        raise _error(answer.status, told, self.profile.gateway, clock_offset(answer.headers))


def help_address(gateway: str, told: object) -> str:
    """Return the whole address of a page of help; "" when it is none of this gateway."""
    return gateway + told if isinstance(told, str) and _HELP_PAGE.fullmatch(told) else ""


def retryable(told: Mapping[str, Any]) -> bool | None:
    """Return what the gateway says of another try; None when it says nothing."""
    found = told.get("retryable")
    return found if isinstance(found, bool) else None


def text_of(result: Mapping[str, Any], name: str) -> str:
    """Return a field that has to be there.

    Raises:
        ExhaustError: it is not.
    """
    value = result.get(name)
    if not isinstance(value, str):
        raise ExhaustError(f"the gateway's answer has no {name}; check its address")
    return value


def _error(status: int, params: Mapping[str, Any], gateway: str, clock_ahead: float) -> ExhaustError:
    code, said = safe_text(params.get("err", "")), safe_text(params.get("errmsg", ""))
    if code in _NO_OPERATION:
        return UnknownOperationError(
            f"{host(gateway)} cannot do this; it may be older than this command, or its address may be wrong ({said})",
            code=code,
        )
    sentence = f"{_HELP[code]} ({said})" if code in _HELP else said or f"the gateway answers {status}"
    if code == _BAD_DATE and abs(clock_ahead) > _CLOCK_SECONDS:
        hours = f"{abs(clock_ahead) / 3600:.0f} h {'ahead of' if clock_ahead > 0 else 'behind'}"
        sentence += f"; the clock of this machine is {hours} the gateway's: set it"
    page = help_address(gateway, params.get("help"))
    return _EXCEPTIONS.get(status, ExhaustError)(sentence, code=code, help_page=page, retryable=retryable(params))
