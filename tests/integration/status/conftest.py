"""The status service's internal listener, with a request of a caller who may see it."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from exhaust.domain.catalogue import load_catalogue
from exhaust.http.listener import open_listener
from exhaust.kafka.producer import Producer
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.process.health import Health
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from schemas.events import Completed, Failed, Failure
from schemas.operations import USER_HEADER
from services.status.action_calls import ActionCalls
from services.status.answers import AnswerBuilder
from services.status.apps import Operations, internal_app
from services.status.archive_check import ArchiveCheck
from services.status.cancel_calls import CancelCalls
from services.status.cancel_markers import CancelMarkers
from services.status.change_notifier import ChangeNotifier
from services.status.day_calls import DayCalls
from services.status.day_records import LISTED_FOR, DayRecords
from services.status.download_calls import DownloadCalls
from services.status.external_updates import ExternalUpdates
from services.status.link_audit import LinkAudit
from services.status.outlooks import Outlooks
from services.status.partial_downloads import PartialDownloads
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from services.status.settings import StatusSettings
from services.status.status_calls import StatusCalls
from services.status.update_calls import UpdateCalls
from services.status.watch_calls import WatchCalls
from tests.integration.conftest import (
    LONG_AGO,
    MSGID,
    PARTNER,
    PEPPERS,
    RESOURCE,
    SERVICE_TOKEN,
    Gateway,
    Listener,
    Reply,
    RequestFactory,
    envelope,
    open_gateway,
    with_grants,
)
from tests.support.completions import asked, claim, write_archive
from tests.support.kafka_cluster import KafkaTestSettings
from tests.support.s3_proxy import closed_port

DAYS = 3
NEVER_LATELY = count(0, LISTED_FOR.total_seconds()).__next__  # a clock by which every look was long ago
DOWNLOAD = bytes(range(256)) * 40


@dataclass(frozen=True)
class Status(Listener):
    """The status service, with a caller who has the service token."""

    async def of(self, request_id: UUID, caller: int | str) -> Reply:
        return await self.call(path_of(request_id), envelope({}), headers=headers(caller))

    async def result(self, request_id: UUID, caller: int) -> dict[str, Any]:
        reply = await self.of(request_id, caller)
        assert reply.status == 200, reply.body
        assert reply.body["params"]["msgid"] == MSGID
        found: dict[str, Any] = reply.body["result"]
        return found


def path_of(request_id: UUID | str) -> str:
    return f"/v2/datasets/requests/status/{request_id}"


def headers(caller: int | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SERVICE_TOKEN}", USER_HEADER: str(caller)}


@pytest.fixture
def archives(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> ArchiveCheck:
    return ArchiveCheck(objects, s3_settings.s3_exhaust_bucket)


@pytest.fixture
def states(database: Database, archives: ArchiveCheck) -> RequestStates:
    return RequestStates(database, load_catalogue(None), archives)


@pytest.fixture
def updates(states: RequestStates, archives: ArchiveCheck) -> UpdateCalls:
    return UpdateCalls(ExternalUpdates(states, archives, ChangeNotifier()))


@pytest.fixture
async def link_lifetime() -> timedelta:
    return timedelta(hours=1)


@pytest.fixture
async def status(
    updates: UpdateCalls,
    runtime_dsn: SecretStr,
    kafka_settings: KafkaTestSettings,
    s3_settings: S3RawBucketSettings,
    objects: ObjectStore,
    database: Database,
    link_lifetime: timedelta,
) -> AsyncIterator[Status]:
    settings = StatusSettings(
        port=closed_port(),
        postgres_dsn=runtime_dsn,
        service_token=SecretStr(SERVICE_TOKEN),
        **kafka_settings.model_dump(),
        **s3_settings.model_dump(),
    )
    changes = ChangeNotifier()
    bucket = settings.s3_exhaust_bucket
    answers = AnswerBuilder(objects, load_catalogue(None), bucket=bucket, link_lifetime=link_lifetime)
    reader = RequestReader(database, GrantStore(database), changes)
    shown = (
        reader,
        answers,
        PartialDownloads(ArchiveCheck(objects, bucket), time.monotonic),
        LinkAudit(database, time.monotonic),
    )
    outlooks = Outlooks(
        database,
        load_catalogue(None),
        time.monotonic,
        max_in_flight=settings.max_in_flight_per_partner,
        no_progress_after=settings.no_progress_after,
    )
    markers = CancelMarkers(database, objects, bucket)
    cancels = CancelCalls(database, reader, changes, markers.wake)
    actions = ActionCalls(database, reader, changes, load_catalogue(None), lambda: None)
    statuses = StatusCalls(*shown, outlooks)
    records = DayRecords(objects, bucket, NEVER_LATELY)
    watches, days = WatchCalls(reader, statuses), DayCalls(database, records, outlooks)
    operations = Operations(statuses, DownloadCalls(*shown), cancels, updates, actions, watches, days)
    app = internal_app(Health(checks={"postgres": database.ping}), settings.service_token, operations)
    async with aiohttp.ClientSession() as session, open_listener(app, settings.host, settings.port):
        yield Status(session, f"http://{settings.host}:{settings.port}")


@pytest.fixture
async def door(
    status: Status, database: Database, owner_database: Database, producer: Producer, away_objects: ObjectStore
) -> AsyncIterator[Gateway]:
    """A gateway before the status service, with a license key that may read RESOURCE."""
    async with open_gateway(database, producer, away_objects, status=status.base) as opened:
        yield await with_grants(opened, owner_database)


@pytest.fixture
async def holder(door: Gateway, database: Database) -> int:
    """The user whose license key the door has."""
    client = await KeyStore(database, PEPPERS).authenticate(door.license_key)
    assert client is not None
    return client.user_id


async def grant(owner: Database, user_id: int, *resources: str) -> int:
    async with owner.transaction() as connection:
        for resource in resources:
            await connection.execute(
                "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES ($1, $2)", user_id, resource
            )
    return user_id


@pytest.fixture
async def caller(request_factory: RequestFactory, owner_database: Database) -> int:
    """Somebody who may read RESOURCE and acts for its partner."""
    return await grant(owner_database, await request_factory.user(), RESOURCE)


@pytest.fixture
async def request_id(request_factory: RequestFactory, caller: int) -> UUID:
    """A request of the caller, released."""
    return await request_factory.request(user_id=caller, days=DAYS, waiting=False)


@dataclass(frozen=True, slots=True)
class FinishedDownloads:
    """Writes downloads as the aggregator does."""

    objects: ObjectStore
    bucket: str

    async def write(self, request_id: UUID) -> Completed:
        """Write the download of a request; the event that reports it."""
        last = LONG_AGO + timedelta(days=DAYS - 1)
        return await write_archive(self.objects, self.bucket, asked(request_id, RESOURCE, LONG_AGO, last), 1, DOWNLOAD)


@pytest.fixture
def downloads(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> FinishedDownloads:
    return FinishedDownloads(objects, s3_settings.s3_exhaust_bucket)


@pytest.fixture
async def own(request_factory: RequestFactory, holder: int) -> UUID:
    """A request of the license key's holder, released."""
    return await request_factory.request(user_id=holder, days=DAYS, waiting=False)


@pytest.fixture
async def complete(own: UUID, states: RequestStates, downloads: FinishedDownloads) -> UUID:
    """The holder's request, once it is complete."""
    await states.apply(claim(await downloads.write(own)))
    return own


@pytest.fixture
async def failed(own: UUID, states: RequestStates) -> UUID:
    """The holder's request, once it has failed."""
    failure = Failure(code="LIMIT_EXCEEDED", message="for operators", day=LONG_AGO)
    await states.apply(claim(Failed(requestid=own, attempt=1, error=failure)))
    return own


@pytest.fixture
async def link(
    status: Status, states: RequestStates, downloads: FinishedDownloads, request_id: UUID, caller: int
) -> URL:
    """The address of a download that exists."""
    event = await downloads.write(request_id)
    await states.apply(claim(event))
    found = await status.result(request_id, caller)
    assert {name: found[name] for name in ("status", "size", "events", "bytes")} == {
        "status": "complete",
        "size": len(DOWNLOAD),
        "events": 30,
        "bytes": 3000,
    }
    assert found["sha256"] == event.archive.sha256
    assert found["progress"]["daysdone"] == DAYS
    return URL(found["downloadurl"], encoded=True)


async def listed(status: Status, caller: int, query: str = "", partner: str = PARTNER) -> Reply:
    path = f"/v2/datasets/requests/{quote(partner, safe='')}{query}"
    return await status.call(path, envelope({}), headers=headers(caller))
