"""Real servers without the services: the tests are the only ones at work on them. And a gateway for those who ask."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from pydantic import HttpUrl, SecretStr
from yarl import URL

from deploy.local.addresses import S3Access
from deploy.local.folder import Folder
from deploy.local.kafka_settings import kafka_fields
from deploy.local.s3_settings import s3_settings as settings_of_store
from deploy.local.servers import choose_servers
from deploy.local.stack import Stack, start_stack, stop_stack
from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.requests import partner_resource
from exhaust.errors import RETRYABLE
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.listener import open_listener
from exhaust.kafka.producer import Producer, open_producer
from exhaust.kafka.topics import create_topics
from exhaust.postgres import outbox
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.migrate import migrate
from exhaust.postgres.token_subjects import TokenSubjects
from exhaust.process.health import Health
from exhaust.s3.store import ObjectStore, open_object_store
from exhaust.settings import S3RawBucketSettings
from exhaust.tokens.verifier import open_token_verifier
from services.gateway.apps import internal_app, public_app
from services.gateway.auth.access import Access
from services.gateway.cors import Cors
from services.gateway.portal.app import PortalParts, install_portal
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from services.gateway.status_client import StatusServiceClient, open_pools
from telemetry.resource_ids import resource_id
from tests.conftest import ROOT
from tests.support.gateway_operations import gateway_operations
from tests.support.kafka_cluster import KafkaTestSettings
from tests.support.s3_proxy import closed_port
from tests.support.tables import DELETE_ALL

RUNTIME_ROLE = "exhaust_runtime"
LONG_AGO = date(2026, 1, 1)
PARTNER, FORMER_PARTNER = "org.example.partner", "org.example.former"
RESOURCE = resource_id(PARTNER)
FULL_SHA1 = "0474e1c817c08564614cd4ddebdd31b2e45c341a"  # of org.ekstep.partner.p3
ONE_DATASET, EXPIRED = "granted-for-channel-raw", "granted-until-yesterday"
PEPPERS = {1: SecretStr("a pepper with more than enough characters")}
SERVICE_TOKEN, LEFT_OUT = "a service token for the tests", object()
MSGID = "ff305d54-85b4-341b-da2f-eb6b9e5460fa"


@pytest.fixture(scope="session")
def servers_folder() -> Path:
    """Where the servers of this test session live; two sessions at once need two names."""
    return ROOT / ".local" / (os.environ.get("EXHAUST_TEST_SERVERS") or "test-servers")


@pytest.fixture(scope="session")
def servers(servers_folder: Path) -> Iterator[Stack]:
    yield start_stack(servers_folder, services=False, stop_at_exit=True)
    stop_stack(servers_folder)


@asynccontextmanager
async def new_schema(owner_dsn: str) -> AsyncIterator[str]:
    """A database schema while the block runs: what else lies in the database neither matters nor is touched."""
    name = f"test_{uuid4().hex}"
    async with open_database(SecretStr(owner_dsn), pool_size=1) as owner:
        async with owner.transaction() as connection:
            await connection.execute(f"CREATE SCHEMA {name}")
            await connection.execute(f"GRANT USAGE ON SCHEMA {name} TO {RUNTIME_ROLE}")
        yield name
        async with owner.transaction() as connection:
            await connection.execute(f"DROP SCHEMA {name} CASCADE")


def within(schema: str, dsn: str) -> SecretStr:
    """The same database, where names without a schema mean those of `schema`."""
    return SecretStr(f"{dsn}{'&' if '?' in dsn else '?'}search_path={schema}")


@pytest.fixture(scope="session")
async def schema(servers: Stack) -> AsyncIterator[str]:
    """Where the tables of this test session are."""
    async with new_schema(servers.postgres) as name:
        yield name


@pytest.fixture(scope="session")
def runtime_dsn(servers: Stack, servers_folder: Path, schema: str) -> SecretStr:
    """The database for the role of the running services, which owns nothing."""
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    assert chosen.postgres_owner == servers.postgres
    return within(schema, chosen.postgres_runtime)


@pytest.fixture(scope="session")
async def owner_database(servers: Stack, schema: str) -> AsyncIterator[Database]:
    async with open_database(within(schema, servers.postgres), pool_size=2) as database:
        await migrate(database, runtime_role=RUNTIME_ROLE)
        yield database


@pytest.fixture
async def database(runtime_dsn: SecretStr, owner_database: Database) -> AsyncIterator[Database]:
    """The runtime role's, on empty tables."""
    async with owner_database.transaction() as connection:
        await connection.execute(DELETE_ALL)
    async with open_database(runtime_dsn, pool_size=10) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class RequestFactory:
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
        self, *, user_id: int | None = None, partner: str = PARTNER, days: int = 1, waiting: bool = True
    ) -> UUID:
        """A request for so many days of RESOURCE from LONG_AGO on; it waits in the outbox, or was released. Its id."""
        request_id = uuid4()
        last = LONG_AGO + timedelta(days=days - 1)
        row = (request_id, await self.user() if user_id is None else user_id, partner, RESOURCE, LONG_AGO, last, days)
        async with self.database.transaction() as connection:
            # A tag of its own, so that no two requests are the same.
            await connection.execute(
                "INSERT INTO requests (request_id, user_id, partner_id, resource, from_date, to_date, days_total,"
                " username, dataset_id, tags, partner_resource)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, 'somebody', 'eks-consumption-raw', ARRAY[$1::uuid::text], $8)",
                *row,
                partner_resource(partner, RESOURCE),
            )
            if waiting:
                await outbox.put(connection, request_id, 1, "")
        return request_id


@pytest.fixture
def request_factory(database: Database) -> RequestFactory:
    return RequestFactory(database)


@pytest.fixture(scope="session")
async def kafka_settings(servers: Stack) -> KafkaTestSettings:
    changes = {"kafka_session_timeout": timedelta(seconds=6), "kafka_partitions": 3}
    settings = KafkaTestSettings.model_validate(kafka_fields(servers) | changes)
    await create_topics(settings)
    return settings


@pytest.fixture(scope="session")
async def producer(kafka_settings: KafkaTestSettings) -> AsyncIterator[Producer]:
    async with open_producer(kafka_settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def s3_settings(servers: Stack) -> S3RawBucketSettings:
    own = replace(servers.s3, raw_bucket=f"raw-{uuid4().hex[:8]}", exhaust_bucket=f"exhaust-{uuid4().hex[:8]}")
    return settings_of_store(own)


@pytest.fixture(scope="session")
async def objects(s3_settings: S3RawBucketSettings) -> AsyncIterator[ObjectStore]:
    async with open_object_store(s3_settings) as opened:
        await opened.create_bucket(s3_settings.s3_raw_bucket)
        await opened.create_bucket(s3_settings.s3_exhaust_bucket)
        yield opened


@dataclass(frozen=True)
class Ask:
    """A submit that is good unless something is changed.

    Attributes:
        days: of the path; a number is so many days from today.
        request: laid over the good `request` part; LEFT_OUT takes a field away.
        body: in place of the envelope.
    """

    dataset: str = "eks-consumption-raw"
    resource: str = RESOURCE
    days: tuple[int | str, ...] = (-3, -1)
    query: str = ""
    request: Mapping[str, object] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        written = (day if isinstance(day, str) else today(day).isoformat() for day in self.days)
        return "/".join(["/v2/datasets", self.dataset, self.resource, *written]) + self.query


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def requestid(self) -> str:
        assert self.status == 202, self.body
        return str(self.body["result"]["requestid"])


@dataclass(frozen=True)
class Listener:
    """A service that listens, and a session to call it with."""

    session: aiohttp.ClientSession
    base: str

    async def call(
        self, path: str, body: object, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The path goes out as it is written, without any normalisation."""
        given = {"Content-Type": "application/json"} | dict(headers or {})
        url = URL(self.base + path, encoded=True)
        async with self.session.request(method, url, data=body, headers=given, allow_redirects=False) as answer:
            assert answer.content_type == "application/json", await answer.text()
            return Reply(answer.status, dict(answer.headers), json.loads(await answer.read()))


@dataclass(frozen=True)
class Gateway(Listener):
    """A gateway, and a license key that may read what the tests ask for.

    Attributes:
        internal: its internal listener, which wants SERVICE_TOKEN.
    """

    internal: Listener
    license_key: str = ""

    async def ask(self, ask: Ask) -> Reply:
        good: dict[str, object] = {"licenseKey": self.license_key, "partnerid": PARTNER, "username": "somebody"}
        request = {name: value for name, value in (good | dict(ask.request)).items() if value is not LEFT_OUT}
        body = envelope(request) if ask.body is None else ask.body
        return await self.call(ask.path, body, headers=ask.headers)


def today(offset: int = 0) -> date:
    return datetime.now(UTC).date() + timedelta(days=offset)


def envelope(request: object) -> bytes:
    return json.dumps({"id": "anything", "ver": "2.0", "params": {"msgid": MSGID}, "request": request}).encode()


def assert_refused(reply: Reply, status: int, code: str, *, ver: str = "2.0") -> None:
    assert (reply.status, reply.body["params"]["err"]) == (status, code), reply.body
    assert set(reply.body) == {"id", "ver", "ts", "params"}
    assert reply.body["ver"] == ver
    assert datetime.fromisoformat(reply.body["ts"]).utcoffset() is not None
    params = reply.body["params"]
    UUID(params["resmsgid"])
    assert params["status"] == "failed"
    assert params["errmsg"]
    assert (params["retryable"], params["help"]) == (code in RETRYABLE, f"/help#{code}")


@pytest.fixture(scope="session")
async def away_objects() -> AsyncIterator[ObjectStore]:
    """A store that is away. One for all tests: the driver takes a second of work to make its clients."""
    nowhere = S3Access(f"http://127.0.0.1:{closed_port()}", "nobody", "nothing", "raw", "exhaust")
    async with open_object_store(settings_of_store(nowhere)) as opened:
        yield opened


@asynccontextmanager
async def open_gateway(
    database: Database,
    producer: Producer,
    objects: ObjectStore,
    *,
    origins: Collection[str] = (),
    status: str | None = None,
    draining: asyncio.Event | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway without relay, whose status service listens at an address or is away."""
    health = Health(checks={"postgres": database.ping, "kafka": producer.ping})
    limited = LimitSettings(
        holder_calls_per_minute=100_000, address_calls_per_minute=100_000, registrations_per_hour=100_000
    )
    limits = RateLimits(limited, time.monotonic)
    status_url = HttpUrl(status or f"http://127.0.0.1:{closed_port()}")
    async with (
        aiohttp.ClientSession() as session,
        open_pools() as pools,
        open_token_verifier(None) as tokens,
    ):
        client = StatusServiceClient(pools, status_url, SecretStr(SERVICE_TOKEN))
        access = Access(
            KeyStore(database, PEPPERS),
            TokenSubjects(database),
            GrantStore(database),
            load_catalogue(None),
            tokens,
            limits,
        )
        operations = gateway_operations(database, objects, access, client, limited, draining)
        metrics = HttpMetrics(health.registry)
        async with AsyncExitStack() as stack:
            bases = []
            public = public_app(health, operations, limits, Cors(origins), metrics)
            install_portal(public, PortalParts(database, access, objects, "exhaust", 0), metrics)
            for app in (
                public,
                internal_app(health, operations, SecretStr(SERVICE_TOKEN), metrics),
            ):
                port = closed_port()
                await stack.enter_async_context(open_listener(app, "127.0.0.1", port))
                bases.append(f"http://127.0.0.1:{port}")
            yield Gateway(session, bases[0], Listener(session, bases[1]))


async def with_grants(gateway: Gateway, owner: Database) -> Gateway:
    """The gateway's client, registered and granted."""
    registered = await gateway.call("/v1/client", envelope({"clientName": "client", "licenseKeyName": "dashboard"}))
    assert registered.status == 200
    yesterday = datetime.now(UTC) - timedelta(days=1)
    async with owner.transaction() as connection:
        for resource, dataset, end in (
            (RESOURCE, None, None),
            (FULL_SHA1, None, None),
            (ONE_DATASET, "channel-raw", None),
            (EXPIRED, None, yesterday),
            (resource_id(FORMER_PARTNER), None, yesterday),
        ):
            await connection.execute(
                "INSERT INTO data_exhaust_users_resources (user_id, resource_id, dataset_id, expires_at)"
                " SELECT id, $1, $2, $3 FROM data_exhaust_users",
                *(resource, dataset, end),
            )
    return replace(gateway, license_key=registered.body["result"]["licenseKey"])


@pytest.fixture
async def gateway(
    database: Database, owner_database: Database, producer: Producer, away_objects: ObjectStore
) -> AsyncIterator[Gateway]:
    async with open_gateway(database, producer, away_objects) as opened:
        yield await with_grants(opened, owner_database)


async def written(database: Database) -> dict[str, int]:
    """How many rows there are of all that a call could write."""
    row = await database.fetch_one(
        "SELECT (SELECT count(*) FROM data_exhaust_users) AS users, (SELECT count(*) FROM requests) AS requests,"
        " (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM audit) AS audit"
    )
    assert row is not None
    return dict(row)
