"""Looks for what keeps data from arriving: settings, proxy, TLS, clock, key, grant, store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from telemetry_exhaust.client import Client
from telemetry_exhaust.connections import proxy_for
from telemetry_exhaust.errors import FAILED, OK, ExhaustError
from telemetry_exhaust.http import Http, clock_offset, host
from telemetry_exhaust.ranged_reads import RangedReader

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.output import Output
    from telemetry_exhaust.part_state import Object

_DEADLINE = 15.0  # seconds of one call
_CLOCK_OFF = 300.0  # seconds; signed links live for an hour


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print one row a check; the exit code is that of the first that failed."""
    codes: list[int] = []
    output.rows(_checks(arguments, codes))
    return next((code for code in codes if code != OK), OK)


def _checks(arguments: argparse.Namespace, codes: list[int]) -> Iterator[dict[str, Any]]:
    try:
        client = Client.from_profile(arguments.profile)
    except ExhaustError as error:
        codes.append(error.exit_code)
        yield _row("settings", str(error))
        return
    profile = client.profile
    client.http = Http(ca_bundle=profile.ca_bundle, deadline=_DEADLINE)
    yield _row("settings", None, f"profile {profile.name}, {profile.gateway}, key from {profile.key_from}")
    proxy = proxy_for(profile.gateway)
    yield _row("proxy", None, host(proxy).rpartition("@")[2] if proxy else "none; the connection is direct")
    for name, check in (
        ("gateway", lambda: _gateway(client)),
        ("clock", lambda: _clock(client)),
        ("key", lambda: _key(client)),
        ("grant", lambda: _grant(client, arguments)),
        ("store", lambda: _store(client, arguments)),
    ):
        row, code = _checked(name, check)
        codes.append(code)
        yield row
        if name == "gateway" and code != OK:
            return


def _checked(name: str, check: Callable[[], str]) -> tuple[dict[str, Any], int]:
    try:
        return _row(name, None, check()), OK
    except ExhaustError as error:
        return _row(name, str(error)), error.exit_code or FAILED


def _row(name: str, problem: str | None, detail: str = "") -> dict[str, Any]:
    return {"check": name, "verdict": "ok" if problem is None else "wrong", "detail": problem or detail}


def _gateway(client: Client) -> str:
    answer = client.http.call("GET", f"{client.profile.gateway}/health/live", headers={})
    return f"answers with {answer.status}{', over TLS' if client.profile.gateway.startswith('https') else ''}"


def _clock(client: Client) -> str:
    answer = client.http.call("GET", f"{client.profile.gateway}/health/live", headers={})
    if "Date" not in answer.headers:
        return "the gateway does not tell the time"
    off = clock_offset(answer.headers)
    if abs(off) > _CLOCK_OFF:
        raise ExhaustError(f"this clock is {off:+.0f} s off the gateway's; set it, or links and TLS fail")
    return f"{off:+.0f} s off the gateway's"


def _key(client: Client) -> str:
    client.api.check_key()
    return "the gateway takes it"


def _owner(client: Client, arguments: argparse.Namespace) -> str | None:
    profile = client.profile
    return arguments.partner or arguments.channel or profile.partner or profile.channel or None


def _grant(client: Client, arguments: argparse.Namespace) -> str:
    owner = _owner(client, arguments)
    if owner is None:
        return "not looked at; name --partner or --channel"
    if not client.api.may_read(owner):
        raise ExhaustError(f"the key has no grant for {owner}; ask the operators for one, or check the id")
    return f"{owner} may be read"


def _store(client: Client, arguments: argparse.Namespace) -> str:
    owner = _owner(client, arguments)
    if owner is None:
        return "not looked at; name --partner or --channel"
    for request in client.api.requests(owner):
        link = (request.get("tracker") or {}).get("downloadurl") or client.status(request["requestid"]).url
        if link:
            found = _found(client, request["requestid"], link)
            return f"{host(link)} answers; {found.size} bytes could be had"
    return "not looked at; there is no request with a download yet"


def _found(client: Client, request: str, link: str) -> Object:
    return RangedReader(client.http, link, lambda: client.status(request).url or "").find()
