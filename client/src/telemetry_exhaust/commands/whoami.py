"""Tells which gateway, key and profile are used, and what the key may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import NO_ACCESS, OK, UnknownOperationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Have the gateway check the key, and the grant when a partner or channel is named."""
    client = Client.from_profile(arguments.profile)
    profile = client.profile
    account = _account(client)
    owner = arguments.partner or arguments.channel or profile.partner or profile.channel
    may_read = client.api.may_read(owner) if owner else None
    row = {
        "profile": profile.name,
        "gateway": profile.gateway,
        "key": "valid",
        "keyfrom": profile.key_from,
        "username": profile.username,
        "owner": owner or None,
        "granted": None if may_read is None else ("yes" if may_read else "no"),
    }
    if output.as_json:
        output.rows([{**row, "account": account}])
    else:
        output.rows({"field": name, "value": value} for name, value in [*row.items(), *_told(account)])
    if may_read is False:
        output.say(f"the key has no grant for {owner}; ask the operators for one, or check the id")
        return NO_ACCESS
    return OK


def _account(client: Client) -> dict[str, Any]:
    try:
        return client.api.me()
    except UnknownOperationError:  # an older gateway, which tells only that the key is valid
        client.api.check_key()
        return {}


def _told(account: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if not account:
        return
    key = account.get("key") or {}
    yield "client", account.get("client")
    yield "key expires", key.get("expiresat") or "never"
    for grant in account.get("grants") or ():
        yield "may read", _grant(grant)
    yield "newest day", account.get("newestday")


def _grant(grant: dict[str, Any]) -> str:
    what = f"{grant.get('kind')} {grant.get('id') or grant.get('resourceid')}"
    dataset = f", dataset {grant['dataset']} only" if grant.get("dataset") else ""
    until = f", until {grant['expiresat']}" if grant.get("expiresat") else ""
    return f"{what}{dataset}{until}"
