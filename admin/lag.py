"""The commands that look at lag: now, flow, workers. They look by themselves, so they need no console.

The exit code is the urgency: 0 healthy, 1 attention, 2 page.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from admin.connection import lag_dsn, lag_kafka, lag_settings
from admin.lag_tables import print_flow, print_now, print_workers
from admin.tables import print_json
from exhaust.domain.catalogue import load_catalogue
from exhaust.lag.assessment import (
    Assessment,
    Document,
    assess,
    flow_document,
    now_document,
    targets_from,
    workers_document,
)
from exhaust.lag.findings import find
from exhaust.lag.sampler import Sampler, open_sampler
from exhaust.lag.stages import Stage
from exhaust.postgres.database import Database, open_database
from exhaust.settings import CatalogueSettings

WATCH_INTERVAL: Final = timedelta(seconds=2)
CLEAR: Final = "\x1b[H\x1b[2J"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, as the console's page of the same name gives it.")]
Watch = Annotated[bool, typer.Option("--watch", help="Look again every 2 s until Ctrl-C.")]


def now(*, json: Json = False, watch: Watch = False) -> None:
    """Say what is the matter, who suffers and what to do. Exit code: 0 healthy, 1 attention, 2 page."""

    async def document(assessment: Assessment, at: datetime, database: Database | None) -> Document:
        return now_document(assessment, at, await find(database))

    _show(document, print_now, json=json, watch=watch)


def flow(
    *,
    stage: Annotated[Stage | None, typer.Option(help="Only this stage.")] = None,
    json: Json = False,
    watch: Watch = False,
) -> None:
    """Show what waits in each stage, by partition, and who reads it. Exit code: as of `now`."""

    async def document(assessment: Assessment, at: datetime, _database: Database | None) -> Document:
        whole = flow_document(assessment, at)
        return whole | {"stages": [told for told in whole["stages"] if stage in {None, told["stage"]}]}

    _show(document, print_flow, json=json, watch=watch)


def workers(*, json: Json = False, watch: Watch = False) -> None:
    """Show what each aggregator has in hand, and since when. Exit code: as of `now`."""

    async def document(assessment: Assessment, at: datetime, _database: Database | None) -> Document:
        return workers_document(assessment, at)

    _show(document, print_workers, json=json, watch=watch)


def _show(
    document: Callable[[Assessment, datetime, Database | None], Awaitable[Document]],
    print_text: Callable[[Document], None],
    *,
    json: bool,
    watch: bool,
) -> None:
    """Look, print, and exit with the urgency of the last look."""
    targets = targets_from(lag_settings())

    async def run() -> int:
        async with _open_sampler() as (sampler, database):
            while True:
                look = await sampler.sample()
                at = datetime.now(UTC)
                told = await document(assess(look, sampler, targets, at), at, database)
                if watch and not json:
                    typer.echo(CLEAR, nl=False)
                if json:
                    print_json(told)
                else:
                    print_text(told)
                if not watch:
                    return int(told["exitcode"])
                await asyncio.sleep(WATCH_INTERVAL.total_seconds())

    try:
        code = asyncio.run(run())
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


@asynccontextmanager
async def _open_sampler() -> AsyncIterator[tuple[Sampler, Database | None]]:
    """Open a sampler of what is configured, both servers or one of them, and the database if it is.

    Raises:
        typer.BadParameter: neither is.
    """
    kafka, dsn = lag_kafka(), lag_dsn()
    if kafka is None and dsn is None:
        raise typer.BadParameter("set EXHAUST_KAFKA_BOOTSTRAP and EXHAUST_POSTGRES_OWNER_DSN, or one of them")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(dsn, pool_size=1, connect=False)) if dsn else None
        sampler = await stack.enter_async_context(
            open_sampler(
                kafka,
                database,
                max_in_flight_per_partner=lag_settings().max_in_flight_per_partner,
                built_elsewhere=load_catalogue(CatalogueSettings().catalogue).built_elsewhere(),
            )
        )
        yield sampler, database
