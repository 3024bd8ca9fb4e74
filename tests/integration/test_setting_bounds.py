"""Every process does its work with every setting at its least and at its greatest value."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from exhaust.errors import ConfigurationError
from exhaust.http.listener import open_listener
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore
from schemas.operations import STATUS_PATH, USER_HEADER
from tests.conftest import ROOT
from tests.integration.conftest import PARTNER, RESOURCE, Ask, Gateway, Listener, envelope, today
from tests.support.s3_proxy import closed_port
from tests.support.setting_bounds import PROCESSES, ends, variable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.support.kafka_cluster import KafkaTestSettings

START_LIMIT_S, STALL_LIMIT_S = 90, 5
PROGRAM = """
from datetime import timedelta
from exhaust.process.run import run_process
from services.{name}.__main__ import serve
run_process(lambda: serve(timedelta(seconds={stall_limit})))
"""
DAY = -20  # of today; in no day zone is it over only in part
EVENT = json.dumps({"eid": "E", "ver": "3.0", "context": {"cdata": [{"type": "partner", "id": PARTNER}]}}).encode()


@dataclass(frozen=True, slots=True)
class Place:
    """The servers, and a port for each listener: what no process can choose for itself."""

    environment: Mapping[str, str]
    ports: Mapping[str, int]

    def address(self, listener: str) -> str:
        return f"http://127.0.0.1:{self.ports[listener]}"

    def settings(self, process: str, **changes: str) -> dict[str, str]:
        """The environment of a process whose other settings have their defaults."""
        return dict(self.environment) | {"EXHAUST_PORT": str(self.ports[process])} | changes


@pytest.fixture
async def place(
    runtime_dsn: SecretStr,
    kafka_settings: KafkaTestSettings,
    s3_settings: S3RawBucketSettings,
    objects: ObjectStore,
) -> Place:
    await objects.put(s3_settings.s3_raw_bucket, f"raw/{today(DAY)}-1.json.gz", gzip.compress(EVENT, compresslevel=0))
    ports = {listener: closed_port() for listener in (*PROCESSES, "gateway_internal")}
    environment = {
        "EXHAUST_INTERNAL_PORT": str(ports["gateway_internal"]),
        "EXHAUST_STATUS_URL": f"http://127.0.0.1:{ports['status']}",
        "EXHAUST_POSTGRES_DSN": runtime_dsn.get_secret_value(),
        "EXHAUST_KAFKA_BOOTSTRAP": kafka_settings.kafka_bootstrap,
        "EXHAUST_S3_ENDPOINT": s3_settings.s3_endpoint,
        "EXHAUST_S3_RAW_BUCKET": s3_settings.s3_raw_bucket,
        "EXHAUST_S3_EXHAUST_BUCKET": s3_settings.s3_exhaust_bucket,
        "EXHAUST_SERVICE_TOKEN": "a service token for tests",
        "EXHAUST_LICENSE_KEY_PEPPERS": json.dumps({"1": "a pepper with more than enough characters"}),
    }
    for name in ("kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username"):
        if getattr(kafka_settings, name) is not None:
            environment[variable(name)] = getattr(kafka_settings, name)
    if kafka_settings.kafka_sasl_password is not None:
        environment["EXHAUST_KAFKA_SASL_PASSWORD"] = kafka_settings.kafka_sasl_password.get_secret_value()
    for name in ("s3_access_key", "s3_secret_key"):
        secret = getattr(s3_settings, name)
        environment[variable(name)] = secret.get_secret_value()
    return Place(environment, ports)


def all_settings(process: str, end: int) -> dict[str, str]:
    """All settings of a process at their least (0) or greatest (1) value."""
    found = {name: ends(name, field) for name, field in PROCESSES[process].model_fields.items()}
    return {variable(name): values[end] for name, values in found.items() if values is not None}


@dataclass(frozen=True, slots=True)
class Running:
    """A process that has been started."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    async def becomes_ready(self) -> None:
        async with asyncio.timeout(START_LIMIT_S), aiohttp.ClientSession() as session:
            while self.process.returncode is None:
                try:
                    async with session.get(f"{self.address}/health/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)
        pytest.fail(self.told())

    async def outlives_the_watchdogs_limit(self) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.process.wait(), STALL_LIMIT_S + 1.5)  # it looks every second

    async def drains(self) -> None:
        async with asyncio.timeout(START_LIMIT_S):
            while self.process.returncode is None:
                self.process.terminate()  # the second one ends the greatest drain delay
                await asyncio.wait({asyncio.ensure_future(self.process.wait())}, timeout=5)
        assert self.process.returncode == 0, self.told()

    def told(self) -> str:
        return self.log.read_text()


@asynccontextmanager
async def running(place: Place, changes: Mapping[str, Mapping[str, str]], logs: Path) -> AsyncIterator[None]:
    """Processes with some changed settings: they become ready, outlive the watchdog's limit and drain at the end."""
    started: list[Running] = []
    try:
        for name, changed in changes.items():
            with (logs / name).open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", PROGRAM.format(name=name, stall_limit=STALL_LIMIT_S)),
                    env=place.settings(name, **changed),
                    cwd=ROOT,
                    stdout=output,
                    stderr=output,
                )
            listener = "gateway_internal" if name == "gateway" else name
            started.append(Running(process, place.address(listener), logs / name))
        await asyncio.gather(*(each.becomes_ready() for each in started))
        yield
        await asyncio.gather(*(each.outlives_the_watchdogs_limit() for each in started))
        await asyncio.gather(*(each.drains() for each in started))
    finally:
        for each in started:
            if each.process.returncode is None:
                each.process.kill()
                await each.process.wait()


async def granted(database: Database, peppers: str) -> tuple[str, int]:
    """A license key that may read the partner's events, and the id of its user."""
    keys = KeyStore(database, {int(number): SecretStr(pepper) for number, pepper in json.loads(peppers).items()})
    license_key = await keys.register("client", "dashboard")
    await GrantStore(database).add(Grant("client", "dashboard", RESOURCE, None, None), actor="test")
    client = await keys.find_client("client", "dashboard")
    return license_key, client.user_id


async def ended(database: Database) -> str:
    """The state in which the one request ends."""
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            row = await database.fetch_one("SELECT state FROM requests")
            if row is not None and row["state"] not in {"submitted", "inprogress"}:
                return str(row["state"])
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", [pytest.param(0, id="least"), pytest.param(1, id="greatest")])
async def test_a_request_completes_with_every_setting_at_an_end(
    place: Place, database: Database, owner_database: Database, tmp_path: Path, end: int
) -> None:
    changes = {process: all_settings(process, end) for process in PROCESSES}
    peppers, token = changes["gateway"]["EXHAUST_LICENSE_KEY_PEPPERS"], changes["gateway"]["EXHAUST_SERVICE_TOKEN"]
    async with running(place, changes, tmp_path), aiohttp.ClientSession() as session:
        license_key, user_id = await granted(owner_database, peppers)
        # One call, since a caller may not make more a minute.
        gateway = Gateway(session, place.address("gateway"), Listener(session, ""), license_key)
        request_id = (await gateway.ask(Ask(days=(DAY, DAY)))).requestid
        assert await ended(database) == "complete"
        status = await Listener(session, place.address("status")).call(
            STATUS_PATH.format(requestid=request_id),
            envelope({}),
            headers={"Authorization": f"Bearer {token}", USER_HEADER: str(user_id)},
        )
        assert status.body["result"]["events"] == 1
        async with session.get(status.body["result"]["downloadurl"]) as download:
            assert download.status == 200


@pytest.mark.usefixtures("database")
async def test_an_interval_beyond_the_watchdogs_limit_is_no_stall(place: Place, tmp_path: Path) -> None:
    async with running(place, {"status": {"EXHAUST_REAP_INTERVAL": "PT5M"}}, tmp_path):
        pass  # it is held to the limit in any case


async def test_an_address_that_nobody_can_listen_at_is_named_in_a_sentence() -> None:
    async with open_listener(web.Application(), "127.0.0.1", port := closed_port()):
        with pytest.raises(ConfigurationError, match=f"cannot listen at 127.0.0.1:{port}: .*address already in use"):
            async with open_listener(web.Application(), "127.0.0.1", port):
                pass
    with pytest.raises(ConfigurationError, match=r"cannot listen at host\.invalid:1: "):
        async with open_listener(web.Application(), "host.invalid", 1):
            pass
