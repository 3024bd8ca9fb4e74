"""The measured stack, and the bare service beside it on tables of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from bench.gateway.load_generator import Address
from deploy.local.folder import Folder
from deploy.local.processes import Processes
from deploy.local.stack import PROJECT, Stack, service_environment, start_stack, stop_stack
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.migrate import migrate
from exhaust.postgres.outbox import RELEASE_LOCK
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOLDER: Final = PROJECT / ".local" / "bench-gateway"
SCHEMA: Final = "bare"
CLIENT: Final = ("bench", "bench")
DATASET: Final = "eks-consumption-raw"
# So many that none of them comes near the most requests that a partner may have open.
PARTNERS: Final = tuple(f"org.example.bench.{number}" for number in range(100))
SETTINGS: Final = {
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "100000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "100000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "10000",
    "EXHAUST_SYNC_FRESH_FOR": "PT1H",  # the download stays the one that the bench has put there
}
START_LIMIT: Final = timedelta(seconds=30)
STOP_LIMIT: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two compared services.

    Attributes:
        owner: its tables, as their owner.
        user_id: of the holder of the license key.
    """

    name: str
    address: Address
    owner: Database
    license_key: str
    user_id: int

    async def delete_requests(self) -> None:
        """Remove all requests, so that every round begins alike."""
        async with self.owner.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", RELEASE_LOCK)  # it is nobody else's turn
            await connection.execute("LOCK TABLE requests, outbox")
            await connection.execute("TRUNCATE outbox, request_days, requests, audit CASCADE")


@dataclass(frozen=True, slots=True)
class Testbed:
    """Both services, running."""

    stack: Stack
    gateway: Service
    bare: Service
    # What the gateway runs with.
    environment: dict[str, str]


@asynccontextmanager
async def open_testbed() -> AsyncIterator[Testbed]:
    """Start both services anew, and stop them at the end of the block."""
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.environ.update(SETTINGS)
    stack = await asyncio.to_thread(start_stack, FOLDER, stop_at_exit=True)
    try:
        # Nothing but what answers the calls shall be at work while they are measured.
        Processes(Folder(FOLDER)).stop({"aggregator": STOP_LIMIT})
        environment = service_environment(FOLDER, "gateway")
        async with _bare_tables(stack) as bare_tables, open_database(SecretStr(stack.postgres), pool_size=1) as tables:
            port = _free_port()
            bare_environment = environment | {
                "EXHAUST_PORT": str(port),
                # It does by itself what gateway and status service share, so it needs the rights of both.
                "EXHAUST_POSTGRES_DSN": _in_schema(stack.postgres),
            }
            peppers = json.loads(environment["EXHAUST_LICENSE_KEY_PEPPERS"])
            async with _serving(bare_environment, port):
                gateway_port = urlsplit(stack.gateway).port or 0
                gateway = await _with_client("gateway", gateway_port, tables, peppers)
                bare = await _with_client("bare service", port, bare_tables, peppers)
                yield Testbed(stack, gateway, bare, environment)
    finally:
        await asyncio.to_thread(stop_stack, FOLDER)


def days() -> tuple[str, str]:
    """Return the first and the last day that every submit asks for: yesterday."""
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    return yesterday, yesterday


def _in_schema(dsn: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}search_path={SCHEMA}"


@asynccontextmanager
async def _bare_tables(stack: Stack) -> AsyncIterator[Database]:
    async with open_database(SecretStr(_in_schema(stack.postgres)), pool_size=1) as owner:
        async with owner.transaction() as connection:
            await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await migrate(owner)
        yield owner


async def _with_client(name: str, port: int, tables: Database, peppers: dict[str, str]) -> Service:
    """Register a license key that may read for all partners, and return the service with it."""
    keys = KeyStore(tables, {int(version): SecretStr(pepper) for version, pepper in peppers.items()})
    license_key = await keys.register(*CLIENT)
    grants = GrantStore(tables)
    for partner in PARTNERS:
        await grants.add(Grant(*CLIENT, resource_id(partner)), actor="operator/bench")
    client = await keys.find_client(*CLIENT)
    return Service(name, Address(port), tables, license_key, client.user_id)


@asynccontextmanager
async def _serving(environment: dict[str, str], port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.gateway.bare", env=environment, cwd=PROJECT
    )
    try:
        async with asyncio.timeout(START_LIMIT.total_seconds()):
            while not await _listens(port):
                if process.returncode is not None:
                    raise RuntimeError("the bare service ended; see what it wrote above")
                await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_LIMIT.total_seconds())


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
    return port
