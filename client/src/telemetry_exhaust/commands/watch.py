"""Watches a request until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK
from telemetry_exhaust.waiting import check_complete, wait
from telemetry_exhaust.watching import status_bar

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output
    from telemetry_exhaust.status import Status


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
        status_bar(output, arguments.request[:8], status)

    first = client.status(arguments.request)
    status = wait(client.api, first, progress, within=arguments.within, watched=output.terminal)
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
        "phase": status.phase or None,
        "position": status.position,
        "because": status.because or None,
        "eta": f"{status.earliest}/{status.latest}" if status.earliest else None,
        "error": status.error_code or None,
    }
