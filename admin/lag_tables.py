"""The text of the commands that look at lag."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from admin.tables import print_table, printable
from exhaust.lag.sentences import shown

if TYPE_CHECKING:
    from exhaust.lag.assessment import Document


def print_now(document: Document) -> None:
    """Print the sentence for all, what to do, and a line for each stage."""
    verdict = document["verdict"]
    typer.echo(f"{verdict['word']}: {verdict['sentence']}")
    if verdict["do"]:
        typer.echo(f"Do: {verdict['do']}")
    if verdict["runbook"]:
        typer.echo(f"Runbook: docs/runbooks/{verdict['runbook']}.md")
    for pause in document["pauses"] or ():
        named = printable(f"{pause['kind']} {pause['named']}, by {pause['by']} at {pause['since']}: {pause['reason']}")
        typer.echo(f"Paused: {named}")
    _print_unseen(document)
    typer.echo()
    _print_stages(document)
    _print_findings(document)


def print_flow(document: Document) -> None:
    """Print each stage, and of its group the partitions where something waits."""
    _print_stages(document, moving=True)
    _print_unseen(document)
    rows = [
        (told["stage"], told["group"]["group"], told["group"]["topic"], *_partition(partition))
        for told in document["stages"]
        if told["group"] and "partitions" in told["group"]
        for partition in told["group"]["partitions"]
        if partition["messages"]
    ]
    if rows:
        typer.echo()
        print_table(("stage", "group", "topic", "partition", "committed", "end", "messages", "oldest"), rows)


def print_workers(document: Document) -> None:
    """Print each worker, and each day that it has in hand."""
    _print_unseen(document)
    rows = []
    for worker in document["workers"]:
        state = "silent" if worker["silent"] else "at work" if worker["days"] else "idle"
        about = (worker["worker"], worker["version"], state, _age(worker["ageseconds"]), worker["bytesdone"])
        days = worker["days"] or [{}]
        rows += [(*about, *(day.get(name) for name in ("datasetid", "day", "requestid", "since"))) for day in days]
    print_table(("worker", "version", "state", "told", "bytes done", "dataset", "day", "request", "since"), rows)


def _print_findings(document: Document) -> None:
    letters, causes = document["deadletters"], document["causes"]
    if letters and letters["waiting"]:
        waiting, today, undelivered = letters["waiting"], letters["today"], letters["undelivered"]
        wait = f"{undelivered:,} of them may be redriven, the oldest waits for {_age(letters['oldestseconds'])}"
        wait = wait if undelivered else "none of them can be redriven, or has to be"
        typer.echo(f"\nDead letters: {waiting:,} wait; {today:,} came since midnight UTC; {wait}.")
        typer.echo("Do: see why: exhaustctl dead list")
    if causes:
        typer.echo("\nWhy requests failed, most requests first:")
        names = ("code", "object", "dataset", "requests", "partners", "since", "latest")
        print_table(names, [tuple(cause[name] for name in names) for cause in causes])


def _print_unseen(document: Document) -> None:
    for why in document["unseen"]:
        typer.echo(f"Not seen: {why}.")


def _print_stages(document: Document, *, moving: bool = False) -> None:
    headings = ["stage", "verdict", "messages", "days of work", "oldest", "requests", "partners", "held", "members"]
    if moving:
        headings.append("done a minute")
    print_table(headings, [_stage(told)[: len(headings)] for told in document["stages"]])


def _stage(told: dict[str, Any]) -> tuple[object, ...]:
    return (
        *(told["stage"], told["word"], told["messages"], told["workdays"], _age(told["oldestseconds"])),
        *(told[name] for name in ("requests", "partners", "held", "members", "doneperminute")),
    )


def _partition(partition: dict[str, Any]) -> tuple[object, ...]:
    return (
        partition["partition"],
        partition["committed"],
        partition["end"],
        partition["messages"],
        _age(partition["oldestseconds"]),
    )


def _age(seconds: float | None) -> str:
    return printable(None if seconds is None else shown(timedelta(seconds=seconds)))
