"""Real servers without the services: the tests are the only ones at work on them."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from deploy.local.folder import Folder
from deploy.local.servers import choose
from deploy.local.stack import Stack, start_stack, stop_stack
from exhaust import outbox
from exhaust.kafka import Producer, create_topics, open_producer
from exhaust.objects import Objects, open_objects
from exhaust.postgres import Database, migrate, open_database
from exhaust.settings import KafkaSettings, ObjectSettings
from telemetry.resource_ids import resource_id
from tests.conftest import ROOT

RUNTIME_ROLE = "exhaust_runtime"
TABLES = "data_exhaust_users, data_exhaust_users_resources, requests, outbox, request_days, inbox, audit"
LONG_AGO = date(2026, 1, 1)


@pytest.fixture(scope="session")
def servers_folder() -> Path:
    """Where the servers of this test session live; two sessions at once need two names."""
    return ROOT / ".local" / (os.environ.get("EXHAUST_TEST_SERVERS") or "test-servers")


@pytest.fixture(scope="session")
def servers(servers_folder: Path) -> Iterator[Stack]:
    yield start_stack(servers_folder, services=False, leash=True)
    stop_stack(servers_folder)


@pytest.fixture(scope="session")
def runtime_dsn(servers: Stack, servers_folder: Path) -> SecretStr:
    """The database for the role of the running services, which owns nothing."""
    chosen = choose(os.environ, Folder(servers_folder).settings(may_move=False))
    assert chosen.postgres_owner == servers.postgres
    return SecretStr(chosen.postgres_runtime)


@pytest.fixture(scope="session")
async def owner_database(servers: Stack) -> AsyncIterator[Database]:
    async with open_database(SecretStr(servers.postgres), pool_size=2) as database:
        await migrate(database, runtime_role=RUNTIME_ROLE)
        yield database


@pytest.fixture
async def database(runtime_dsn: SecretStr, owner_database: Database) -> AsyncIterator[Database]:
    """The runtime role's, on empty tables."""
    async with owner_database.transaction() as connection:
        await connection.execute(f"TRUNCATE {TABLES} CASCADE")
    async with open_database(runtime_dsn, pool_size=10) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Filing:
    """Files requests as the gateway does, without a gateway."""

    database: Database

    async def user(self) -> int:
        """A client that nobody can log in as; its id."""
        row = await self.database.fetch_one(
            "INSERT INTO data_exhaust_users (client_name, license_key_name, license_key_hash, pepper_version)"
            " VALUES ($1, 'test', $2, 1) RETURNING id",
            str(uuid4()),
            uuid4().bytes,
        )
        assert row is not None
        return int(row["id"])

    async def request(
        self, *, user_id: int | None = None, partner: str = "org.example.partner", days: int = 1, waiting: bool = True
    ) -> UUID:
        """A request for so many days from LONG_AGO on; it waits in the outbox, or was released. Its id."""
        request_id = uuid4()
        owner = await self.user() if user_id is None else user_id
        last = LONG_AGO + timedelta(days=days - 1)
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO requests (request_id, user_id, partner_id, username, dataset_id, resource, from_date,"
                " to_date, tags, days_total) VALUES ($1, $2, $3, 'somebody', 'eks-consumption-raw', $4, $5, $6, $7, $8)",
                *(request_id, owner, partner, resource_id(partner), LONG_AGO, last, [str(request_id)], days),
            )
            if waiting:
                await outbox.put(connection, request_id, 1, "")
        return request_id


@pytest.fixture
def filing(database: Database) -> Filing:
    return Filing(database)


@pytest.fixture(scope="session")
async def kafka_settings(servers: Stack) -> KafkaSettings:
    settings = KafkaSettings(
        kafka_bootstrap=servers.kafka, kafka_session_timeout=timedelta(seconds=6), kafka_partitions=3
    )
    await create_topics(settings)
    return settings


@pytest.fixture(scope="session")
async def producer(kafka_settings: KafkaSettings) -> AsyncIterator[Producer]:
    async with open_producer(kafka_settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def object_settings(servers: Stack) -> ObjectSettings:
    return ObjectSettings(
        s3_endpoint=servers.s3.endpoint,
        s3_access_key=SecretStr(servers.s3.access_key),
        s3_secret_key=SecretStr(servers.s3.secret_key),
        s3_raw_bucket=f"raw-{uuid4().hex[:8]}",
        s3_exhaust_bucket=f"exhaust-{uuid4().hex[:8]}",
    )


@pytest.fixture(scope="session")
async def objects(object_settings: ObjectSettings) -> AsyncIterator[Objects]:
    async with open_objects(object_settings) as opened:
        await opened.create_bucket(object_settings.s3_raw_bucket)
        await opened.create_bucket(object_settings.s3_exhaust_bucket)
        yield opened
