"""Cancels requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Cancel each request; a request that has ended is an error."""
    client = Client.from_profile(arguments.profile)
    receipts = (client.cancel(request) for request in arguments.requests)
    output.rows(
        receipt if output.as_json else {"request": receipt.get("requestid"), "cancelled": receipt.get("cancelledat")}
        for receipt in receipts
    )
    return OK
