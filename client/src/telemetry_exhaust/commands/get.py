"""Gets days into a folder, one file a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from telemetry_exhaust.client import Client, file_name
from telemetry_exhaust.errors import DAYS_MISSING, OK, RequestFailedError
from telemetry_exhaust.output import human_size
from telemetry_exhaust.watching import bar_watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from telemetry_exhaust.api import Wanted
    from telemetry_exhaust.fetching import Fetched
    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Get every part of the range; a part that failed does not keep the others back."""
    client = Client.from_profile(arguments.profile)
    owner = client.owner(arguments.partner, arguments.channel)
    parts = client.wanted(
        arguments.first, arguments.last, owner=owner, dataset=arguments.dataset, tags=arguments.tag or ()
    )
    if arguments.estimate:
        output.rows(_estimate(client, wanted, output) for wanted in parts)
        return OK
    failures: list[RequestFailedError] = []
    partial: list[Wanted] = []
    output.rows(_rows(client, parts, arguments, output, failures, partial))
    if failures and len(failures) == len(parts):
        raise failures[0]
    if failures:
        output.say(f"{len(failures)} of {len(parts)} files are missing; run the same command again for them")
        return DAYS_MISSING
    return DAYS_MISSING if partial else OK


def _rows(
    client: Client,
    parts: list[Wanted],
    arguments: argparse.Namespace,
    output: Output,
    failures: list[RequestFailedError],
    partial: list[Wanted],
) -> Iterator[dict[str, Any]]:
    arguments.output.mkdir(parents=True, exist_ok=True)
    for wanted in parts:
        target = arguments.output / file_name(wanted)
        watcher = bar_watcher(output, f"{wanted.first} to {wanted.last}")
        try:
            fetched = client.fetcher.fetch(wanted, target, watcher, within=arguments.within, partial=arguments.partial)
        except RequestFailedError as error:
            failures.append(error)
            if len(parts) > 1:
                output.say(f"{wanted.first} to {wanted.last}: {error}")
            continue
        if fetched.partial:
            partial.append(wanted)
            output.say(f"{fetched.path} lacks the days that failed; `exhaust show {fetched.request}` says why")
        yield _row(wanted, fetched)


def _row(wanted: Wanted, fetched: Fetched) -> dict[str, Any]:
    return {
        "file": str(fetched.path),
        "from": str(wanted.first),
        "to": str(wanted.last),
        "bytes": fetched.path.stat().st_size,
        "request": fetched.request,
        "state": "partial" if fetched.partial else ("new" if fetched.new else "there already"),
    }


def _estimate(client: Client, wanted: Wanted, output: Output) -> dict[str, Any]:
    told = client.api.estimate(wanted)
    ends = {"from": str(wanted.first), "to": str(wanted.last)}
    if output.as_json:
        return {**ends, **told}
    days = told.get("days") or {}
    return {
        **ends,
        "days": days.get("total"),
        "to build": days.get("tobuild"),
        "seconds": _between(told.get("seconds"), str),
        "size": _between(told.get("bytes"), human_size),
    }


def _between(told: Any, shown: Callable[[float], str]) -> str | None:
    if not isinstance(told, dict) or not all(isinstance(told.get(end), (int, float)) for end in ("least", "most")):
        return None
    least, most = shown(told["least"]), shown(told["most"])
    return least if least == most else f"{least} to {most}"
