"""Requests whose downloads exist, and the service that moves their states."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from exhaust.domain.catalogue import parse_catalogue
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.request_views import RequestView
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from schemas.events import SOURCE_AGGREGATOR, Completed, Failed, Failure, FinishedDay, Progress
from services.status.archive_check import ArchiveCheck
from services.status.change_notifier import ChangeNotifier
from services.status.claims import Completion, RefusedCompletionError
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from tests.integration.conftest import LONG_AGO, RESOURCE
from tests.support.completions import asked, claim, write_archive

DAYS = 3
DOWNLOAD = b"PK" + bytes(998)
EXECUTOR, SPARK_DATASET = "/org.example/spark", "spark-summary"
CATALOGUE = parse_catalogue(
    f"""
[[dataset]]
id = "eks-consumption-raw"
prefix = "raw/"
layout = "shared"
retention_days = 7

[[dataset]]
id = "{SPARK_DATASET}"
prefix = "spark/"
layout = "shared"
retention_days = 7
executor = "{EXECUTOR}"
""",
    "the tests' catalogue",
)


def started(request_id: UUID, attempt: int = 1) -> Progress:
    return Progress(requestid=request_id, attempt=attempt, daystotal=DAYS)


def day_finished(request_id: UUID, number: int, attempt: int = 1, events: int = 10) -> Progress:
    day = FinishedDay(
        day=LONG_AGO + timedelta(days=number), state="ok", events=events, bytes=events * 100, unreadable=0, reused=False
    )
    return Progress(requestid=request_id, attempt=attempt, daystotal=DAYS, day=day)


def failed(
    request_id: UUID, attempt: int = 1, *, code: str = "SOURCE_OBJECT_UNREADABLE", day: int | None = None
) -> Failed:
    on = None if day is None else LONG_AGO + timedelta(days=day)
    return Failed(
        requestid=request_id, attempt=attempt, error=Failure(code=code, message="a raw object is broken", day=on)
    )


@dataclass(frozen=True, slots=True)
class Downloads:
    """Writes downloads of requests as the aggregator does."""

    objects: ObjectStore
    bucket: str

    async def write(self, request_id: UUID, attempt: int = 1) -> Completed:
        request = asked(request_id, RESOURCE, LONG_AGO, LONG_AGO + timedelta(days=DAYS - 1))
        return await write_archive(self.objects, self.bucket, request, attempt, DOWNLOAD)


@pytest.fixture
def downloads(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> Downloads:
    return Downloads(objects, s3_settings.s3_exhaust_bucket)


@pytest.fixture
def states(database: Database, downloads: Downloads) -> RequestStates:
    return RequestStates(database, CATALOGUE, ArchiveCheck(downloads.objects, downloads.bucket))


async def apply_events(states: RequestStates, *completions: Completion) -> None:
    for completion in completions:
        await states.apply(claim(completion))


async def refusal(states: RequestStates, completion: Completion, source: str = SOURCE_AGGREGATOR) -> str:
    """The code under which an event is refused; empty when it counts."""
    try:
        await states.apply(claim(completion, source=source))
    except RefusedCompletionError as refused:
        return refused.code
    return ""


@pytest.fixture
def reader(database: Database) -> RequestReader:
    return RequestReader(database, GrantStore(database), ChangeNotifier())


async def view_of(reader: RequestReader, request_id: UUID) -> RequestView:
    found = (await reader.find([request_id])).get(request_id)
    assert found is not None
    return found


async def inbox(database: Database) -> list[str]:
    return [row["event_id"] for row in await database.fetch("SELECT event_id FROM inbox ORDER BY event_id")]
