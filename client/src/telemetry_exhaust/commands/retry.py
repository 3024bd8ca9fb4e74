"""Has failed requests tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Retry each request; one that has not failed is an error."""
    client = Client.from_profile(arguments.profile)
    receipts = (client.retry(request) for request in arguments.requests)
    output.rows(
        receipt if output.as_json else {"request": receipt.get("requestid"), "attempt": receipt.get("attempt")}
        for receipt in receipts
    )
    return OK
