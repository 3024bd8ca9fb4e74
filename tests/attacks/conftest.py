"""One stack for all attacks: the real servers and the services, as `make up` starts them."""

from __future__ import annotations

import os
import shutil
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.local.stack import Stack, start_stack, stop_stack
from tests.attacks.callers import Callers
from tests.attacks.processes import FOLDER, start_again
from tests.attacks.rows import Rows
from tests.attacks.store import RawData, Store
from tests.attacks.topics import Topics, open_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiohttp

OPEN_REQUESTS = 12
DAYS_BUILT = 200  # for one key; no other attack needs as many
SETTINGS = {
    "EXHAUST_REAP_INTERVAL": "PT0.5S",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": str(OPEN_REQUESTS),
    "EXHAUST_MAX_DAYS_BUILT_PER_KEY": str(DAYS_BUILT),
}
OTHER_SETTINGS = {"EXHAUST_REGISTRATIONS_PER_HOUR", "EXHAUST_TOKEN_ISSUERS"}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with pytest.MonkeyPatch.context() as environment:
        for name in OTHER_SETTINGS & os.environ.keys():  # of the acceptance tests' stack, when both run together
            environment.delenv(name)
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        yield start_stack(FOLDER, stop_at_exit=True)
        stop_stack(FOLDER)


@pytest.fixture(scope="module", autouse=True)
async def everything_runs(stack: Stack) -> None:
    """No module pays for what the one before it broke."""
    assert stack.processes
    await start_again()


@pytest.fixture(scope="session")
async def callers(stack: Stack) -> AsyncIterator[Callers]:
    async with AsyncExitStack() as closing:
        yield Callers(stack, closing)


@pytest.fixture(scope="session")
async def http(callers: Callers) -> aiohttp.ClientSession:
    """Connections that belong to no caller in particular."""
    return await callers.session()


@pytest.fixture(scope="session")
def store(stack: Stack, http: aiohttp.ClientSession) -> Store:
    """The store, with all rights."""
    return Store(http, stack.s3.endpoint, stack.s3.access_key, stack.s3.secret_key)


@pytest.fixture(scope="session")
def raw(stack: Stack, store: Store) -> RawData:
    return RawData(store, stack.s3.raw_bucket)


@pytest.fixture(scope="session")
async def topics(stack: Stack) -> AsyncIterator[Topics]:
    async with open_topics(stack) as opened:
        yield opened


@pytest.fixture(scope="session")
async def rows(stack: Stack) -> AsyncIterator[Rows]:
    async with asyncpg.create_pool(stack.postgres, min_size=1, max_size=4) as pool:
        yield Rows(pool)
