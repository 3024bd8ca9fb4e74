"""The pages of lag on a real database, by the console's own role: figures, bins of the history, a server that hangs."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer

from deploy.local.folder import Folder
from deploy.local.processes import Processes
from deploy.local.servers import choose_servers
from exhaust.lag.sampler import open_sampler
from exhaust.lag.verdict import Targets
from exhaust.postgres.database import open_database
from exhaust.process.health import Health
from services.console.app import console_app
from services.console.documents import lag_pages
from services.console.history import history_page
from services.console.sampling import Sampling
from tests.integration.conftest import within
from tests.support.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from tests.integration.conftest import RequestFactory
    from tests.support.kafka_cluster import KafkaTestSettings

    Client = TestClient[web.Request, web.Application]

BROWSER: Final = {"Accept": "text/html"}
PATHS: Final = ("/now", "/flow", "/workers", "/flow/history")
LIMIT_S: Final = 2.3  # a page takes 2 s at most; and a loaded machine
SAMPLES_EVERY_S: Final = 15


@pytest.fixture
async def role_database(servers_folder: Path, schema: str, database: Database) -> AsyncIterator[Database]:
    """The database with the role that the console has."""
    del database  # by now its tables are empty
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    async with open_database(within(schema, chosen.postgres_console), pool_size=4) as opened:
        yield opened


@asynccontextmanager
async def console(kafka: KafkaTestSettings | None, database: Database) -> AsyncIterator[tuple[Client, Sampling]]:
    async with open_sampler(kafka, database, max_in_flight_per_partner=4) as sampler:
        sampling = Sampling(sampler, Targets())
        pages = [*lag_pages(sampling, database), history_page(database)]
        async with TestClient(TestServer(console_app(Health(), pages))) as client:
            yield client, sampling


async def answered(client: Client, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, float]:
    began = time.monotonic()
    async with client.get(path, headers=headers) as answer:
        body = await answer.text() if headers else await answer.json(content_type=None)
        return answer.status, body, time.monotonic() - began


async def test_failures_dead_letters_and_pauses_stand_beside_the_lag(
    role_database: Database,
    owner_database: Database,
    request_factory: RequestFactory,
) -> None:
    for partner in ("<b>one</b>", "two"):
        await request_factory.request(partner=partner, waiting=False)
    await owner_database.fetch(
        "UPDATE requests SET state = 'failed', ended_at = now(),"
        """ outcome = '{"code": "SOURCE_OBJECT_UNREADABLE", "object": "raw/<i>x</i>.json.gz"}'"""
    )
    await owner_database.fetch(
        "INSERT INTO pauses (kind, name, shown, reason, actor) VALUES ('partner', 'p', '<b>p</b>', 'why', 'operator/x')"
    )
    await owner_database.fetch(
        "INSERT INTO dead_letters (kafka_partition, kafka_offset, written_at, topic, consumer_group, code, pointer,"
        " error, source, size, digest, truncated, replays) SELECT 0, n, now() - n * interval '1 h', 'dataset.days', '',"
        " 'NOT_JSON', '', '', CASE n WHEN 3 THEN '/telemetry-exhaust/aggregator' ELSE '/theirs' END, 1, '', '', 0"
        " FROM generate_series(2, 3) n"
    )
    async with console(None, role_database) as (client, _):
        _, document, _ = await answered(client, "/now")
        _, text, _ = await answered(client, "/now", BROWSER)
    assert document["unseen"] == ["no Kafka is configured here"]
    [cause] = document["causes"]
    assert (cause["code"], cause["object"]) == ("SOURCE_OBJECT_UNREADABLE", "raw/<i>x</i>.json.gz")
    assert (cause["requests"], cause["partners"]) == (2, 2)
    letters = document["deadletters"]
    assert 7200 < letters.pop("oldestseconds") < 7300  # one of ours is older, and waits for nobody
    assert letters == {"waiting": 2, "today": letters["today"], "undelivered": 1}
    assert letters["today"] <= 2  # at night fewer, since they are two and three hours old
    assert [(pause["named"], pause["by"]) for pause in document["pauses"]] == [("<b>p</b>", "operator/x")]
    assert "<b>" not in text
    assert "<i>" not in text
    assert "Paused:</strong> partner &lt;b&gt;p" in text


async def test_the_history_comes_in_bins_and_fast(role_database: Database, owner_database: Database) -> None:
    await owner_database.fetch(
        "INSERT INTO stage_samples (at, stage, messages, work_days, oldest, done)"
        " SELECT now() - n * interval '15 s', stage, n, CASE WHEN stage = 'report' THEN NULL ELSE n END,"
        " now() - n * interval '16 s', 11520 - n"
        " FROM generate_series(0, 11519) n, unnest(ARRAY['outbox', 'plan', 'build', 'report']) stage"
    )
    async with console(None, role_database) as (client, _):
        await answered(client, "/flow/history?minutes=10")
        _, document, seconds = await answered(client, "/flow/history?minutes=10")
        status, text, _ = await answered(client, "/flow/history", BROWSER)
        wrong, problem, _ = await answered(client, "/flow/history?minutes=7")
    print(f"\n{len(document['spans'])} spans of 46,080 samples in {seconds * 1000:.0f} ms")
    assert 288 <= len(document["spans"]) <= 290
    whole = document["spans"][1:-1]
    assert {span["stages"]["plan"]["done"] for span in whole} == {600 // SAMPLES_EVERY_S}
    assert all(span["stages"]["plan"]["messages"] == span["stages"]["build"]["workdays"] for span in whole)
    assert seconds < 0.2
    assert (status, "<table>" in text) == (200, True)
    assert (wrong, problem["errors"][0]["pointer"]) == (400, "?minutes")


@pytest.mark.parametrize("server", ["kafka", "postgres"])
async def test_pages_are_there_soon_while_a_server_is_frozen(
    server: str, role_database: Database, servers: Stack, servers_folder: Path, kafka_settings: KafkaTestSettings
) -> None:
    del servers
    recorded = Processes(Folder(servers_folder)).recorded()
    if server not in recorded:
        pytest.skip(f"{server} is not ours to freeze")
    async with console(kafka_settings, role_database) as (client, sampling):
        await sampling.look()
        with frozen(recorded[server].pid):
            for path in PATHS:
                for headers in (None, BROWSER):
                    status, _, seconds = await answered(client, path, headers)
                    assert (status, seconds < LIMIT_S) == (200, True), path
            _, history, _ = await answered(client, "/flow/history")
            _, table, _ = await answered(client, "/flow/history", BROWSER)
            await sampling.look()
            _, document, _ = await answered(client, "/now")
            _, text, _ = await answered(client, "/now", BROWSER)
    name = {"kafka": "Kafka", "postgres": "PostgreSQL"}[server]
    assert any(why.startswith(f"{name} does not answer") for why in document["unseen"])
    assert document["verdict"]["word"] == "UNKNOWN"
    assert f"{name} does not answer" in text
    if server == "postgres":
        assert (document["causes"], document["deadletters"], document["pauses"]) == (None, None, None)
        why = "the history, because the database does not answer"
        assert (history["spans"], history["unseen"]) == (None, [why])
        assert why in table
        assert "Nothing was recorded" not in table
