"""The commands for requests: cancel, retry."""

from typing import Annotated
from uuid import UUID

import typer

from admin.connection import audit_actor, run_on_database
from exhaust.postgres.request_commands import cancel_request, retry_request

requests_app = typer.Typer(help="Cancelling requests, and trying them again.", no_args_is_help=True)

RequestId = Annotated[UUID, typer.Argument(metavar="REQUEST", help="The request's id.")]


@requests_app.command("cancel")
def cancel(request_id: RequestId) -> None:
    """Cancel a request that has not ended: within seconds nobody works on it any more."""
    actor = audit_actor()
    cancelled = run_on_database(lambda database: cancel_request(database, request_id, actor=actor))
    at = cancelled.cancelled_at.isoformat(timespec="seconds")
    typer.echo(f"Cancelled {request_id} in attempt {cancelled.attempt} at {at}.")


@requests_app.command("retry")
def retry(request_id: RequestId) -> None:
    """Try a request again that failed or was cancelled; only the days that are not finished are built."""
    actor = audit_actor()
    attempt = run_on_database(lambda database: retry_request(database, request_id, actor=actor))
    typer.echo(f"Attempt {attempt} of {request_id} is submitted.")
