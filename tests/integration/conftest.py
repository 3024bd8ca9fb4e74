"""Real servers without the services: the tests are the only ones at work on them."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deploy.local.stack import Stack, start_stack, stop_stack
from exhaust.kafka import Producer, create_topics, open_producer
from exhaust.objects import Objects, open_objects
from exhaust.postgres import Database, migrate, open_database
from exhaust.settings import KafkaSettings, ObjectSettings
from tests.conftest import ROOT

RUNTIME_ROLE = "exhaust_runtime"
TABLES = "data_exhaust_users, data_exhaust_users_resources, requests, outbox, request_days, inbox, audit"


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    folder = ROOT / ".local" / "test-servers"
    yield start_stack(folder, services=False, leash=True)
    stop_stack(folder)


@pytest.fixture(scope="session")
async def owner_database(servers: Stack) -> AsyncIterator[Database]:
    async with open_database(SecretStr(servers.postgres), pool_size=2) as database:
        await migrate(database, runtime_role=RUNTIME_ROLE)
        yield database


@pytest.fixture
async def database(servers: Stack, owner_database: Database) -> AsyncIterator[Database]:
    """The runtime role's, on empty tables."""
    async with owner_database.transaction() as connection:
        await connection.execute(f"TRUNCATE {TABLES} CASCADE")
    dsn = json.loads((ROOT / ".local" / "test-servers" / "stack.json").read_text())["postgres"]
    async with open_database(SecretStr(dsn), pool_size=10) as opened:
        yield opened


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
