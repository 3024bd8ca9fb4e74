"""The commands for parked requests, which relay and reaper could not handle."""

from typing import Annotated
from uuid import UUID

import typer

from admin.connection import run_on_database
from admin.tables import print_table, tell
from exhaust.postgres.database import Database
from exhaust.postgres.parked_requests import list_parked_requests, release_parked_request

parked_app = typer.Typer(help="Requests that relay or reaper could not handle.", no_args_is_help=True)


@parked_app.command("list")
def list_parked(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Requests at most, the latest.")] = 100,
) -> None:
    """Show the parked requests, the latest first."""
    parked = run_on_database(lambda database: list_parked_requests(database, limit=limit))
    print_table(
        ("request", "user", "dataset", "parked at", "reason"),
        [(entry.request_id, entry.user_id, entry.dataset, entry.parked_at, entry.reason) for entry in parked],
    )


@parked_app.command("release")
def release(request_id: Annotated[UUID, typer.Argument(metavar="REQUEST", help="The request's id.")]) -> None:
    """Let relay and reaper handle a parked request again, once its cause is mended."""

    async def work(database: Database) -> bool:
        async with database.transaction() as connection:
            return await release_parked_request(connection, request_id)

    if not run_on_database(work):
        typer.echo(f"exhaustctl: request {request_id} is not parked", err=True)
        raise typer.Exit(1)
    tell(f"Released {request_id}.")
