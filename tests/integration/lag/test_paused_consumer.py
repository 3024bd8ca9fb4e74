"""A consumer that stands still while one record comes each second: all who tell of it tell the same figures."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from exhaust.lag.sampler import open_sampler
from exhaust.lag.verdict import Targets
from exhaust.process.health import Health
from exhaust.settings import KafkaSettings
from schemas.events import GROUP_PLAN, TOPIC_REQUESTS
from services.console.app import console_app
from services.console.documents import lag_pages
from services.console.lag_metrics import publish_lag_metrics
from services.console.sampling import Sampling
from tests.integration.conftest import within
from tests.integration.kafka.conftest import Handled, Scene
from tests.support.command import Command
from tests.support.setting_bounds import variable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from deploy.local.stack import Stack
    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from tests.support.kafka_cluster import KafkaTestSettings
    from tests.support.kafka_tools import KafkaTools

SECONDS: Final = int(os.environ.get("EXHAUST_TEST_LAG_SECONDS") or 30)  # 120 is what operators were promised
EVERY_S: Final = 1.0
SLACK_S = 10  # what looks and the tool of Kafka take on a loaded machine
STAGE = "plan"


@dataclass(frozen=True, slots=True)
class Place:
    """A console within this process, and the topic of requests."""

    scene: Scene
    sampling: Sampling
    app: web.Application
    dsn: SecretStr
    environment: dict[str, str]


@pytest.fixture
async def place(
    database: Database, servers: Stack, schema: str, kafka_settings: KafkaTestSettings, producer: Producer
) -> AsyncIterator[Place]:
    health, scene = Health(), Scene(kafka_settings, producer, TOPIC_REQUESTS, GROUP_PLAN)
    async with open_sampler(kafka_settings, database, max_in_flight_per_partner=4) as sampler:
        sampling = Sampling(sampler, Targets())
        publish_lag_metrics(health.registry, sampling.latest)
        yield Place(
            scene,
            sampling,
            console_app(health, lag_pages(sampling, database)),
            within(schema, servers.postgres),
            {variable(name): value for name, value in _environment(kafka_settings).items()},
        )


def _environment(settings: KafkaTestSettings) -> dict[str, str]:
    fields = {name: getattr(settings, name) for name in KafkaSettings.model_fields}
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in fields.items()
        if value is not None
    }


def figures(document: dict[str, Any]) -> tuple[int, float]:
    [stage] = [stage for stage in document["stages"] if stage["stage"] == STAGE]
    return stage["messages"], stage["oldestseconds"]


async def measured(client: TestClient[web.Request, web.Application]) -> tuple[int, float, int]:
    """The stage's messages and age as /metrics tells them, and the sum of the partitions of its topic."""
    async with client.get("/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    samples = [sample for family in families for sample in family.samples]
    by_stage = {sample.name: sample.value for sample in samples if sample.labels.get("stage") == STAGE}
    lag = sum(
        sample.value
        for sample in samples
        if sample.name == "exhaust_topic_lag_messages" and sample.labels["group"] == GROUP_PLAN
    )
    return int(by_stage["exhaust_stage_waiting"]), by_stage["exhaust_stage_oldest_seconds"], int(lag)


async def read_all(scene: Scene) -> None:
    """The group reads what other tests have left, commits it, and leaves."""
    handled = Handled()
    await scene.spread("left")
    async with scene.member(handled.note):
        await handled.until(lambda values: sum(value.startswith("left-") for value in values) >= 12)


async def test_page_command_metrics_and_kafkas_tool_tell_the_same(
    place: Place, tools: KafkaTools, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await read_all(place.scene)
    for number in range(SECONDS):
        await place.scene.send(f"unread-{number}", key=f"key-{number}")
        await asyncio.sleep(EVERY_S)  # the rate is what this is about
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    command = Command.on_database(place.dsn, capsys, monkeypatch)
    async with TestClient(TestServer(place.app)) as client:
        await place.sampling.look()
        async with client.get("/flow") as answer:
            page = figures(await answer.json())
        told = figures(json.loads((await command.run("flow", "--json")).out.splitlines()[-1]))  # before it: logs
        waiting, oldest, lag = await measured(client)
    by_tool = sum(line.lag or 0 for line in await tools.describe(GROUP_PLAN) if line.topic == TOPIC_REQUESTS)
    print(f"\n{page=} {told=} metrics={(waiting, oldest, lag)} {by_tool=}")
    assert page[0] == told[0] == waiting == lag == by_tool == SECONDS
    for age in (page[1], told[1], oldest):
        assert SECONDS * EVERY_S <= age <= SECONDS * EVERY_S + SLACK_S
