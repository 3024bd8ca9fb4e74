"""The commands for requests: requests, retry, cancel."""

from typing import Annotated
from uuid import UUID

import typer

from admin.connection import audit_actor, run_on_database
from admin.options import DatasetName, DryRun, Reason, as_duration, resolve_dataset
from admin.results import Outcome, outcome_of, show_outcome
from admin.tables import print_documents
from exhaust.domain.catalogue import load_catalogue
from exhaust.operations.listings import request_row
from exhaust.operations.orders import BATCH, Order
from exhaust.operations.request_actions import cancel_requests, datasets_of, failed_requests, retry_requests
from exhaust.postgres.database import Database
from exhaust.postgres.request_lists import RequestFilter, Standing, list_requests
from exhaust.settings import CatalogueSettings

RequestIds = Annotated[list[UUID] | None, typer.Argument(metavar="[REQUEST]...", help="Ids of requests.")]
PartnerId = Annotated[str | None, typer.Option("--partner", help="Of this partner: its id, or its resource id.")]
Code = Annotated[str | None, typer.Option("--code", help="Failed with this code.")]
SourceObject = Annotated[str | None, typer.Option("--object", help="Failed by this source object.")]
Source = Annotated[str | None, typer.Option("--source", help="Of datasets that this executor builds.")]


def requests(
    *,
    state: Annotated[Standing | None, typer.Option(help="In this state.")] = None,
    partner: PartnerId = None,
    dataset: DatasetName = None,
    code: Code = None,
    source_object: SourceObject = None,
    older_than: Annotated[str | None, typer.Option(help="Submitted before this, such as 90s, 30m, 12h or 7d.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Requests at most.")] = 100,
) -> None:
    """Show requests, newest first."""
    own_id = resolve_dataset(dataset)
    wanted = RequestFilter(
        state, partner, (own_id,) if own_id else None, code, source_object, as_duration(older_than), limit=limit
    )
    found = run_on_database(lambda database: list_requests(database, wanted))
    print_documents(
        ("request", "partner", "dataset", "from", "to", "state", "attempt", "days done", "submitted", "code", "object"),
        [request_row(listed) for listed in found],
    )


def retry(
    request_ids: RequestIds = None,
    *,
    reason: Reason,
    code: Code = None,
    source_object: SourceObject = None,
    source: Source = None,
    dataset: DatasetName = None,
    dry_run: DryRun = False,
) -> None:
    """Try requests again that failed or were cancelled.

    Name them, or retry all that failed by one cause: a code, and an object or a source. Only the days that are not
    finished are built.
    """
    order = Order(audit_actor(), reason, dry_run)
    if bool(request_ids) == (code is not None):
        raise typer.BadParameter("name requests, or a cause by --code")
    datasets = datasets_of(load_catalogue(CatalogueSettings().catalogue), resolve_dataset(dataset), source)

    async def work(database: Database) -> Outcome:
        ids = request_ids or await failed_requests(
            database, RequestFilter(datasets=datasets, code=code, object=source_object)
        )
        return await outcome_of(retry_requests(database, ids, order))

    show_outcome(run_on_database(work, pool_size=BATCH), dry_run=dry_run, nothing="no failed request has this cause")


def cancel(request_ids: RequestIds = None, *, reason: Reason, dry_run: DryRun = False) -> None:
    """Cancel requests that have not ended.

    Within seconds nobody works on them any more.
    """
    order = Order(audit_actor(), reason, dry_run)
    if not request_ids:
        raise typer.BadParameter("name requests")

    async def work(database: Database) -> Outcome:
        return await outcome_of(cancel_requests(database, request_ids, order))

    show_outcome(run_on_database(work, pool_size=BATCH), dry_run=dry_run)
