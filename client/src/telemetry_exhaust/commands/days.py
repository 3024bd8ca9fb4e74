"""Tells what is known of each day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print one row a day."""
    client = Client.from_profile(arguments.profile)
    found = client.days(
        partner=arguments.partner,
        channel=arguments.channel,
        start=arguments.first,
        end=arguments.last,
        dataset=arguments.dataset,
    )
    output.rows(found if output.as_json else map(_row, found))
    return OK


def _row(day: dict[str, Any]) -> dict[str, Any]:
    built = day.get("built")
    return {
        "day": day.get("date"),
        "state": day.get("state"),
        "events": day.get("events"),
        "bytes": day.get("bytes"),
        "built": ("yes" if built else "no") if isinstance(built, bool) else built,
    }
