"""Keeps a folder whole, one file a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.client import Client
from telemetry_exhaust.dates import parse_day
from telemetry_exhaust.errors import DAYS_MISSING, OK, REQUEST_FAILED
from telemetry_exhaust.sync import Plan, SyncedDay, sync
from telemetry_exhaust.watching import bar_watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Get what the folder lacks; a day that failed does not keep the others back."""
    client = Client.from_profile(arguments.profile)
    plan = Plan(
        dataset=arguments.dataset or client.profile.dataset,
        owner=client.owner(arguments.partner, arguments.channel),
        since=parse_day(arguments.since) if arguments.since else None,
        recheck=arguments.recheck,
        hook=arguments.hook,
        tags=tuple(sorted(arguments.tag or ())),
    )
    days: list[SyncedDay] = []
    found = sync(client.fetcher, arguments.folder, plan, lambda day: bar_watcher(output, str(day)))
    output.rows(_rows(found, days, output))
    missing = [day for day in days if day.problem]
    if missing:
        output.say(f"{len(missing)} of {len(days)} days are missing; the next run asks for them again")
        return REQUEST_FAILED if len(missing) == len(days) else DAYS_MISSING
    if not days:
        output.note("the folder is whole; nothing was missing")
    return OK


def _rows(found: Iterator[SyncedDay], days: list[SyncedDay], output: Output) -> Iterator[dict[str, Any]]:
    for day in found:
        days.append(day)
        if day.problem:
            output.say(f"{day.day}: {day.problem}")
            continue
        yield {"day": str(day.day), "file": str(day.path), "bytes": day.path.stat().st_size}
