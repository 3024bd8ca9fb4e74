"""The command that explains a request."""

from typing import Annotated
from uuid import UUID

import typer

from admin.connection import lag_settings, run_on_database
from admin.tables import AS_JSON, print_json, print_table, printable
from exhaust.domain.catalogue import load_catalogue
from exhaust.operations.explanation import Explanation, explain, explanation_document
from exhaust.postgres.request_story import RequestStory, find_request_story
from exhaust.settings import CatalogueSettings


def explain_request(request_id: Annotated[UUID, typer.Argument(metavar="REQUEST", help="The request's id.")]) -> None:
    """Say where a request is and why.

    And what happened to it so far, its attempts, and its days.
    """
    story = run_on_database(lambda database: find_request_story(database, request_id))
    if story is None:
        typer.echo(f"exhaustctl: there is no request {request_id}", err=True)
        raise typer.Exit(1)
    explained = explain(
        story, max_in_flight=lag_settings().max_in_flight_per_partner, executor=_executor(story.dataset)
    )
    if AS_JSON.get():
        print_json(explanation_document(story, explained))
    else:
        _print(story, explained)


def _executor(dataset: str) -> str | None:
    """Return who builds a dataset, if that is not our aggregator."""
    found = load_catalogue(CatalogueSettings().catalogue).find(dataset)
    return None if found is None or found.is_built_here else found.executor


def _print(story: RequestStory, explained: Explanation) -> None:
    typer.echo(f"{story.request_id} {printable(explained.sentence.what)}.")
    if explained.sentence.do:
        typer.echo(f"Do: {printable(explained.sentence.do)}")
    typer.echo()
    rows: list[tuple[str, object]] = [
        ("partner", story.partner_id),
        ("dataset", story.dataset),
        ("resource", story.resource),
        ("days", f"{story.asked.first} to {story.asked.last}"),
        ("tags", ", ".join(story.tags) or None),
    ]
    for name, value in rows:
        typer.echo(f"{name}: {printable(value)}")
    typer.echo()
    print_table(("at", "what", "attempt"), [(found.at, found.what, found.attempt) for found in explained.timeline])
    typer.echo()
    print_table(
        ("attempt", "began", "days done", "ended"),
        [(found.number, found.began, found.days_done, found.ended) for found in explained.attempts],
    )
    typer.echo()
    print_table(
        ("day", "state", "attempt", "events", "bytes", "code"),
        [(cell.day, cell.state, cell.attempt, cell.events, cell.bytes, cell.code) for cell in explained.days],
    )
