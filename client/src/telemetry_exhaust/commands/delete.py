"""Removes requests that have ended, and their downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Delete each request; one in progress is an error."""
    client = Client.from_profile(arguments.profile)
    output.rows(_deleted(client, request, output) for request in arguments.requests)
    return OK


def _deleted(client: Client, request: str, output: Output) -> dict[str, object]:
    receipt = client.delete(request)
    return {"requestid": request, **receipt} if output.as_json else {"request": request, "state": "deleted"}
