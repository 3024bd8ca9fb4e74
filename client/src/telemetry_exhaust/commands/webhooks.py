"""Lists, adds, tests, replays and removes webhooks, and checks what they deliver."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK, UsageError
from telemetry_exhaust.webhooks import verify

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from telemetry_exhaust.output import Output

_VARIABLE: Final = "EXHAUST_WEBHOOK_SECRET"


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Do what is asked, and print what the API tells."""
    if arguments.operation == "verify":
        return _verify(arguments, output)
    rows = _rows(arguments, Client.from_profile(arguments.profile))
    output.rows(rows if output.as_json else map(_plain, rows))
    if arguments.operation == "add":
        output.note("keep the secret: it signs the deliveries, and is not told again")
    return OK


def _rows(arguments: argparse.Namespace, client: Client) -> Iterable[dict[str, Any]]:
    webhooks = client.webhooks
    if arguments.operation in {None, "list"}:
        return webhooks.all()
    if arguments.operation == "add":
        return [webhooks.add(arguments.url, arguments.event or ())]
    if arguments.operation == "deliveries":
        return webhooks.deliveries(arguments.webhook)
    if arguments.operation == "remove":
        return [{"id": arguments.webhook, **webhooks.remove(arguments.webhook)}]
    if arguments.operation == "test":
        return [webhooks.test(arguments.webhook)]
    return [webhooks.replay(arguments.webhook, since=arguments.since, delivery=arguments.delivery)]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in row.items()}


def _verify(arguments: argparse.Namespace, output: Output) -> int:
    headers = {
        "webhook-id": arguments.id,
        "webhook-timestamp": arguments.timestamp,
        "webhook-signature": arguments.signature,
    }
    body = sys.stdin.buffer.read() if arguments.body == Path("-") else arguments.body.read_bytes()
    output.text(json.dumps(verify(_secret(), headers, body), ensure_ascii=False))
    return OK


def _secret() -> str:
    if secret := os.environ.get(_VARIABLE):
        return secret
    if named := os.environ.get(f"{_VARIABLE}_FILE"):
        return Path(named).read_text("utf-8")
    raise UsageError(f"the secret is never an argument; set {_VARIABLE}, or {_VARIABLE}_FILE to a file that holds it")
