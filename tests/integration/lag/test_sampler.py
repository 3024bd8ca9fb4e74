"""The sampler on real servers: its history, what another process remembers, and servers that do not answer."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deploy.local.folder import Folder
from deploy.local.servers import choose_servers
from exhaust.lag.sampler import Look, Sampler, open_sampler
from exhaust.lag.stages import Stage, StageSample, UnknownStage
from exhaust.postgres.database import open_database
from exhaust.postgres.stage_samples import BATCH, SAMPLE_LOCK, recent_samples
from tests.integration.conftest import new_schema, within
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from tests.integration.conftest import RequestFactory
    from tests.support.kafka_cluster import KafkaTestSettings

LIMIT_S = 2.5  # of a look: its deadlines are shorter, and a loaded machine
LONG = timedelta(days=3)


@asynccontextmanager
async def sampler_of(kafka: KafkaTestSettings | None, database: Database | None) -> AsyncIterator[Sampler]:
    async with open_sampler(kafka, database, max_in_flight_per_partner=4) as sampler:
        yield sampler


def unknown(look: Look) -> dict[Stage, str]:
    return {
        stage.stage: stage.why if isinstance(stage, UnknownStage) else stage.unseen
        for stage in look.stages
        if isinstance(stage, UnknownStage) or stage.unseen
    }


@pytest.fixture
async def console(servers_folder: Path, schema: str, database: Database) -> AsyncIterator[Database]:
    """The database with the role that the console has."""
    del database  # by now its tables are empty
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    async with open_database(within(schema, chosen.postgres_console), pool_size=4) as opened:
        yield opened


async def rows(database: Database, over: timedelta = LONG) -> int:
    return len(await recent_samples(database, over))


async def test_all_stages_are_seen(
    console: Database, kafka_settings: KafkaTestSettings, request_factory: RequestFactory
) -> None:
    await request_factory.request(days=3)
    await request_factory.request(days=10, waiting=False)
    async with sampler_of(kafka_settings, console) as sampler:
        look = await sampler.sample()
    assert look.unseen == ()
    assert unknown(look) == {}
    outbox, plan = look.stages[:2]
    assert isinstance(outbox, StageSample)
    assert isinstance(plan, StageSample)
    assert (outbox.requests, outbox.work_days, plan.requests, plan.work_days) == (1, 3, 1, 10)
    assert plan.readers is not None
    assert plan.readers.members == 0
    assert look.open_requests == {"submitted": 2, "inprogress": 0, "parked": 0}


async def test_a_row_a_stage_is_written_once_in_its_interval(
    console: Database, kafka_settings: KafkaTestSettings
) -> None:
    async with sampler_of(kafka_settings, console) as sampler:
        look = await sampler.sample()
        assert await sampler.record(look)
        assert not await sampler.record(await sampler.sample())
    assert await rows(console) == len(Stage)


async def test_of_two_consoles_one_writes(console: Database, kafka_settings: KafkaTestSettings) -> None:
    async with sampler_of(kafka_settings, console) as one, sampler_of(kafka_settings, console) as two:
        looks = await asyncio.gather(one.sample(), two.sample())
        async with console.transaction() as connection:
            await connection.fetch("SELECT pg_advisory_xact_lock($1)", SAMPLE_LOCK)
            assert not await one.record(looks[0])
        wrote = await asyncio.gather(one.record(looks[0]), two.record(looks[1]))
        assert sum(wrote) >= 1
    assert await rows(console) == len(Stage) * sum(wrote)


async def test_a_row_is_due_when_readers_have_come_or_gone(
    console: Database, kafka_settings: KafkaTestSettings
) -> None:
    async with sampler_of(kafka_settings, console) as sampler:
        look = await sampler.sample()
        await sampler.record(look)
        plan = look.stages[1]
        assert isinstance(plan, StageSample)
        assert plan.readers is not None
        read = replace(plan, at=plan.at + timedelta(seconds=1), readers=replace(plan.readers, members=1))
        assert await sampler.record(replace(look, stages=(read,)))
    assert await rows(console) == len(Stage) + 1


async def test_another_process_remembers_what_the_console_saw(
    console: Database, kafka_settings: KafkaTestSettings
) -> None:
    async with sampler_of(kafka_settings, console) as before_it:
        first = await before_it.sample()
        await before_it.record(first)
    async with sampler_of(kafka_settings, console) as command:
        second = await command.sample()
        history = command.recent(Stage.PLAN)
    before, after = first.stages[1], second.stages[1]
    assert isinstance(before, StageSample)
    assert isinstance(after, StageSample)
    assert history == [before, after]
    assert after.readers is not None
    assert before.readers is not None
    assert after.readers.absent_since == before.readers.absent_since


async def test_old_rows_leave_in_small_batches(console: Database, kafka_settings: KafkaTestSettings) -> None:
    await console.fetch(
        "INSERT INTO stage_samples (at, stage, messages, done)"
        " SELECT now() - interval '49 hours' - n * interval '1 second', 'plan', 0, 0 FROM generate_series(1, $1) n",
        BATCH + 10,
    )
    async with sampler_of(kafka_settings, console) as sampler:
        await sampler.record(await sampler.sample())
    assert await rows(console) == 10 + len(Stage)


async def test_without_a_database_what_kafka_says_is_told(kafka_settings: KafkaTestSettings) -> None:
    async with sampler_of(kafka_settings, None) as sampler:
        look = await sampler.sample()
        assert not await sampler.record(look)
    assert look.unseen == ("no database is configured here",)
    assert set(unknown(look)) == {Stage.OUTBOX, Stage.PLAN, Stage.BUILD}
    assert look.open_requests is None


async def test_without_kafka_the_outbox_is_told(console: Database, request_factory: RequestFactory) -> None:
    await request_factory.request(days=3)
    async with sampler_of(None, console) as sampler:
        look = await sampler.sample()
    assert set(unknown(look)) == {Stage.PLAN, Stage.BUILD, Stage.REPORT}
    assert isinstance(look.stages[0], StageSample)
    assert look.stages[0].messages == 1


async def test_servers_that_are_away_are_told_within_two_seconds(kafka_settings: KafkaTestSettings) -> None:
    away = kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"})
    dsn = SecretStr(f"postgresql://nobody:{uuid4().hex}@127.0.0.1:{closed_port()}/nowhere")
    async with open_database(dsn, pool_size=1, connect=False) as database, sampler_of(away, database) as sampler:
        started = time.monotonic()
        look = await sampler.sample()
        assert time.monotonic() - started < LIMIT_S
    assert set(unknown(look)) == set(Stage)
    assert unknown(look)[Stage.PLAN] == "Kafka does not answer; PostgreSQL does not answer"


async def test_tables_that_were_not_migrated_are_told(servers: Stack, kafka_settings: KafkaTestSettings) -> None:
    async with (
        new_schema(servers.postgres) as empty,
        open_database(within(empty, servers.postgres), pool_size=1) as database,
        sampler_of(kafka_settings, database) as sampler,
    ):
        look = await sampler.sample()
    assert "exhaustctl migrate" in unknown(look)[Stage.OUTBOX]
