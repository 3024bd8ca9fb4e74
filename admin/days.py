"""The command that shows what was received and built, by dataset and day."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from admin.connection import bucket_settings, lag_dsn
from admin.options import DatasetName, resolve_dataset
from admin.tables import AS_JSON, print_documents, print_json
from exhaust.domain.catalogue import Dataset, load_catalogue
from exhaust.domain.days import DayRange
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.operations.listings import Document, day_rows
from exhaust.operations.received_days import ReceivedDay, list_received_days
from exhaust.postgres.database import open_database
from exhaust.postgres.day_overview import BuiltDay, find_built_days
from exhaust.s3.store import open_object_store
from exhaust.settings import CatalogueSettings

MOST_DAYS: Final = 366
_HEADINGS: Final = (
    *("dataset", "day", "objects", "bytes", "resources", "finished", "open", "failed", "unreadable objects"),
)
Built = dict[tuple[str, date], BuiltDay]
Received = dict[tuple[str, date], ReceivedDay]


def days(
    *,
    dataset: DatasetName = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day. [default: today in UTC]")
    ] = None,
) -> None:
    """Show what was received and built, by dataset and day.

    objects and bytes: raw telemetry of the day in the store. resources: whose archives were built. finished, open,
    failed: requests that have the day, wait for it, or failed by it. Days without any of that are left out.
    """
    until = last.date() if last else datetime.now(UTC).date()
    asked = DayRange(first.date() if first else until - timedelta(days=6), until)
    if not 1 <= len(asked) <= MOST_DAYS:
        raise typer.BadParameter(f"--from must not be behind --to, and {MOST_DAYS} days are the most")
    wanted = resolve_dataset(dataset)
    every = {found.id: found for found in load_catalogue(CatalogueSettings().catalogue).by_name.values()}
    datasets = [found for found in every.values() if wanted in {None, found.id}]
    rows, unseen = asyncio.run(_look(datasets, asked, wanted))
    if AS_JSON.get():
        print_json({"unseen": unseen, "days": rows})
        return
    print_documents(_HEADINGS, rows)
    for sentence in unseen:
        typer.echo(f"exhaustctl: not seen: {sentence}", err=True)


async def _look(datasets: list[Dataset], asked: DayRange, wanted: str | None) -> tuple[list[Document], list[str]]:
    """Look at database and store, or at one of them.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE: neither can be seen.
    """
    unseen: list[str] = []
    built = await _built(asked, wanted, unseen)
    received = await _received(datasets, asked, unseen)
    if built is None and received is None:
        raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, f"not seen: {'; '.join(unseen)}")
    return day_rows(built, received), unseen


async def _built(asked: DayRange, dataset: str | None, unseen: list[str]) -> Built | None:
    dsn = lag_dsn()
    if dsn is None:
        unseen.append("the database, because EXHAUST_POSTGRES_OWNER_DSN is not set")
        return None
    try:
        async with open_database(dsn, pool_size=1) as database:
            return await find_built_days(database, asked, dataset=dataset)
    except ExhaustError as error:
        unseen.append(error.message)
        return None


async def _received(datasets: list[Dataset], asked: DayRange, unseen: list[str]) -> Received | None:
    try:
        settings = bucket_settings()
    except ValidationError:
        unseen.append("S3, because EXHAUST_S3_ENDPOINT and the others are not set")
        return None
    received: Received = {}
    try:
        async with open_object_store(settings) as objects:
            for dataset in datasets:
                found = await list_received_days(objects, settings.s3_raw_bucket, dataset, asked)
                if found is None:
                    unseen.append(f"raw objects of {dataset.id}, because there are too many")
                    continue
                received |= {(dataset.id, day): one for day, one in found.items()}
    except ExhaustError as error:
        unseen.append(error.message)
        return None
    return received
