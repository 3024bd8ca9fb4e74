"""A database of its own with as many rows as a large system has, looked at with the rights of the console alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from multidict import MultiDict
from pydantic import SecretStr

from exhaust.domain.catalogue import load_catalogue
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.migrate import migrate
from exhaust.process.health import Health
from services.console.access import Gate
from services.console.access_settings import AccessSettings
from services.console.app import console_app
from services.console.csrf import Csrf
from services.console.roles import Callers
from services.console.stories.days import RawObjects
from services.console.stories.pages import Stories, story_pages
from tests.integration.conftest import RUNTIME_ROLE, new_schema, within
from tests.support.console_app import BEHIND_PROXY
from tests.support.explained import ExplainedDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.local.stack import Stack
    from exhaust.s3.store import ObjectStore
    from tests.support.console_app import Client

OTHER_ROLE = "pg_monitor"
MAX_IN_FLIGHT = 4
FILL_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True)
class Tables:
    """The tables of a schema.

    Attributes:
        owner: may do everything.
        console: has the rights of the console, and keeps the plans of its queries.
    """

    owner: Database
    console: ExplainedDatabase
    store: ObjectStore

    @property
    def stories(self) -> Stories:
        return Stories(self.console, RawObjects(self.store, "raw"), load_catalogue(None), MAX_IN_FLIGHT)

    async def do(self, *statements: str) -> None:
        async with self.owner.transaction() as connection:
            for statement in statements:
                await connection.execute(statement)


@dataclass(frozen=True)
class Call:
    """What a document reads of an HTTP request."""

    query: MultiDict[str]
    match_info: dict[str, str]


@asynccontextmanager
async def open_pages(stories: Stories) -> AsyncIterator[Client]:
    """The pages, where a proxy tells who calls."""
    gate = Gate(Callers(AccessSettings.model_validate(BEHIND_PROXY), None), Csrf(None), prefix="", acts=True)
    async with TestClient(TestServer(console_app(Health(), story_pages(stories), gate=gate))) as client:
        yield client


def call(request: object = "", **query: object) -> Any:
    return Call(MultiDict({name: str(value) for name, value in query.items()}), {"request": str(request)})


@pytest.fixture(scope="session")
async def console_tables(
    servers: Stack, runtime_dsn: SecretStr, schema: str, away_objects: ObjectStore
) -> AsyncIterator[Tables]:
    """Empty tables, where the role of the services is the console's alone."""
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=1, command_timeout=FILL_WITHIN) as owner,
    ):
        await migrate(
            owner, runtime_role=OTHER_ROLE, gateway_role=OTHER_ROLE, status_role=OTHER_ROLE, console_role=RUNTIME_ROLE
        )
        dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
        async with open_database(dsn, pool_size=4) as console:
            yield Tables(owner, ExplainedDatabase(console), away_objects)
