"""A redrive whose console is killed in the middle: run again on another console, each record is on its topic once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest

from deploy.local.folder import Folder
from deploy.local.servers import choose_servers
from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.operations.redrive import BATCH
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from schemas.events import TOPIC_COMPLETIONS
from tests.conftest import ROOT
from tests.integration.conftest import within
from tests.integration.operations.letters import Letters
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from tests.support.kafka_cluster import KafkaTestSettings

LETTERS: Final = 2 * BATCH + 20
IN_THE_SECOND_BATCH: Final = {"EXHAUST_FAILPOINTS": "redrive.after_send:2=pause"}
START_LIMIT_S, AGAIN_LIMIT_S = 30, 120
REASON: Final = "the consumer is mended"


@pytest.fixture
def environment(
    servers_folder: Path, schema: str, database: Database, kafka_settings: KafkaTestSettings
) -> dict[str, str]:
    """Of a console process on the servers of the tests."""
    del database  # by now its tables are empty
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    password = kafka_settings.kafka_sasl_password
    return {
        "PATH": os.environ["PATH"],
        "EXHAUST_POSTGRES_DSN": within(schema, chosen.postgres_console).get_secret_value(),
        "EXHAUST_POSTGRES_OPERATOR_DSN": within(schema, chosen.postgres_operator or "").get_secret_value(),
        "EXHAUST_CONSOLE_LOOPBACK_ROLE": "operator",
        "EXHAUST_S3_ENDPOINT": chosen.s3.endpoint,
        "EXHAUST_S3_RAW_BUCKET": chosen.s3.raw_bucket,
        "EXHAUST_S3_ACCESS_KEY": chosen.s3.access_key,
        "EXHAUST_S3_SECRET_KEY": chosen.s3.secret_key,
        "EXHAUST_KAFKA_BOOTSTRAP": kafka_settings.kafka_bootstrap,
        "EXHAUST_KAFKA_SECURITY_PROTOCOL": kafka_settings.kafka_security_protocol,
        "EXHAUST_KAFKA_SASL_MECHANISM": kafka_settings.kafka_sasl_mechanism,
        "EXHAUST_KAFKA_SASL_USERNAME": kafka_settings.kafka_sasl_username or "",
        "EXHAUST_KAFKA_SASL_PASSWORD": password.get_secret_value() if password else "",
    }


@asynccontextmanager
async def console(
    environment: Mapping[str, str], log: Path, **changes: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A console process, and its address."""
    port = closed_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.console"),
            env={**environment, "EXHAUST_PORT": str(port), **changes},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(START_LIMIT_S), aiohttp.ClientSession() as session:
            while True:
                assert process.returncode is None, log
                try:
                    async with session.get(f"http://127.0.0.1:{port}/health/live"):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def redrive(address: str, source: str) -> dict[str, Any]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{address}/actions") as answer:
            token = (await answer.json())["csrftoken"]
        fields = {"code": "UNKNOWN_REQUEST", "source": source, "reason": REASON}
        async with session.post(f"{address}/actions/redrive", json=fields, headers={"X-CSRF-Token": token}) as answer:
            assert answer.status in {200, 503}, await answer.text()
            document: dict[str, Any] = await answer.json()
            return document


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_each_record_comes_once(
    environment: dict[str, str],
    owner_database: Database,
    kafka_settings: KafkaTestSettings,
    producer: Producer,
    tmp_path: Path,
) -> None:
    async with open_topic_reader(kafka_settings) as reader:
        letters = await Letters.begin(kafka_settings, producer, reader)
        await letters.bury(*(letters.record(number) for number in range(LETTERS)))
        async with console(environment, tmp_path / "first", **IN_THE_SECOND_BATCH) as (process, address):
            asking = asyncio.create_task(redrive(address, letters.source))
            while not is_stopped(process.pid):
                assert not asking.done(), await asking
                await asyncio.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(aiohttp.ClientError):
                await asking
        assert len(await letters.on(TOPIC_COMPLETIONS)) == 2 * BATCH
        began, done = time.monotonic(), 0
        async with console(environment, tmp_path / "second") as (_, address):
            while True:
                document = await redrive(address, letters.source)
                done += document["done"]
                if not document["left"] and not document["refused"]:
                    break
                assert time.monotonic() - began < AGAIN_LIMIT_S, document
        came = Counter(record.key for record in await letters.on(TOPIC_COMPLETIONS))
    print(f"\n{LETTERS} letters, killed after {2 * BATCH} were sent: done again in {time.monotonic() - began:.0f} s")
    assert came == {b"key-%d" % number: 1 for number in range(LETTERS)}
    entries = await find_audit_entries(owner_database, AuditFilter(action=Action.REDRIVE, limit=10_000))
    assert len(entries) == len({entry.subject for entry in entries}) == LETTERS
    assert done == LETTERS - BATCH
