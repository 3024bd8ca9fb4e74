"""Watches a request until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK
from telemetry_exhaust.waiting import check_complete, wait

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.api import Status
    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print a row for each change; the exit code tells how the request ended."""
    client = Client.from_profile(arguments.profile)
    seen: list[dict[str, Any]] = []

    def progress(status: Status) -> None:
        row = _row(status)
        if not seen or seen[-1] != row:
            seen[:] = [row]
            if output.as_json:
                output.rows([row])
        output.bar(arguments.request[:8], status.days_done, status.days_total)

    status = wait(client.api, client.status(arguments.request), progress, within=arguments.within)
    if not output.as_json:
        output.rows([_row(status)])
    check_complete(status)
    return OK


def _row(status: Status) -> dict[str, Any]:
    return {
        "request": status.request,
        "state": status.state,
        "daysdone": status.days_done,
        "daystotal": status.days_total,
        "error": status.error_code or None,
    }
