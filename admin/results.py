"""The outcome of an action on several items: what became of each, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from admin.tables import AS_JSON, print_json, print_table
from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.operations.orders import ItemResult


@dataclass(slots=True)
class Outcome:
    """The results of an action, and the error that ended it before the end, if one did."""

    results: list[ItemResult] = field(default_factory=list)
    error: ExhaustError | None = None


async def outcome_of(acting: AsyncIterator[ItemResult]) -> Outcome:
    """Carry an action out."""
    outcome = Outcome()
    try:
        async for result in acting:
            outcome.results.append(result)
    except ExhaustError as error:
        outcome.error = error
    return outcome


def show_outcome(outcome: Outcome, *, dry_run: bool, nothing: str = "nothing matches") -> None:
    """Print what became of each item, and exit.

    The exit code is 0 when all was done, 1 when some was not, 2 when everything was refused. Without any item it is 1.

    Args:
        outcome: of the action.
        dry_run: nothing was changed.
        nothing: what to say when there is no item.
    """
    done = sum(result.done for result in outcome.results)
    refused = len(outcome.results) - done
    if AS_JSON.get():
        results = [result.to_json() for result in outcome.results]
        print_json({"dryrun": dry_run, "done": done, "refused": refused, "results": results})
    elif outcome.results:
        word = "would be done" if dry_run else "done"
        rows = [(result.item, word if result.done else "refused", result.what) for result in outcome.results]
        print_table(("item", "outcome", "what"), rows)
    if outcome.error is not None:
        raise outcome.error
    if not outcome.results:
        typer.echo(f"exhaustctl: {nothing}", err=True)
        raise typer.Exit(1)
    if refused:
        typer.echo(f"exhaustctl: {refused} of {len(outcome.results)} refused", err=True)
        raise typer.Exit(1 if done else 2)
