"""Lists requests, newest first."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print one row a request; the documents of the API with --json."""
    client = Client.from_profile(arguments.profile)
    found = itertools.islice(
        client.requests(partner=arguments.partner, channel=arguments.channel, everybody=arguments.all),
        max(0, arguments.limit),
    )
    output.rows(found if output.as_json else map(_row, found))
    return OK


def _row(request: dict[str, Any]) -> dict[str, Any]:
    created = request.get("createdat")
    when = datetime.fromtimestamp(created / 1000, timezone.utc) if isinstance(created, int) else None
    tracker = request.get("tracker") or {}
    return {
        "request": request.get("requestid"),
        "submitted": when.isoformat(timespec="seconds") if when else None,
        "dataset": request.get("datasetid"),
        "from": request.get("fromdate"),
        "to": request.get("todate"),
        "state": tracker.get("status"),
        "events": tracker.get("events"),
        "error": (tracker.get("error") or {}).get("code"),
    }
