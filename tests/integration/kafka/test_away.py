"""A Kafka that is away is waited for, or told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ConfigurationError, ErrorCode, ExhaustError
from exhaust.kafka.producer import open_producer
from exhaust.kafka.topics import create_topics
from tests.integration.kafka.conftest import DRAIN, TIMEOUT_S, Handled, Scene
from tests.support.s3_proxy import closed_port, proxy

if TYPE_CHECKING:
    from tests.support.kafka_cluster import KafkaTestSettings


async def test_a_member_waits_for_a_kafka_that_starts_later(scene: Scene) -> None:
    port = closed_port()
    early = Scene(
        scene.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{port}"}), scene.producer, scene.topic
    )
    turns = asyncio.Queue[None]()
    handled, stop = Handled(), asyncio.Event()
    await scene.send("patient")
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as running:
        running.create_task(early.consumer_loop(handled.note).run(stop, lambda: turns.put_nowait(None), DRAIN))
        for _ in range(2):
            await turns.get()
        async with proxy(scene.settings.kafka_bootstrap, port=port):
            await handled.until_all(["patient"])
            stop.set()


async def test_a_stop_ends_the_wait_for_kafka(scene: Scene) -> None:
    away = Scene(
        scene.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"}), scene.producer, scene.topic
    )
    handled, stop = Handled(), asyncio.Event()
    turns = asyncio.Queue[None]()
    running = asyncio.create_task(away.consumer_loop(handled.note).run(stop, lambda: turns.put_nowait(None), DRAIN))
    for _ in range(2):
        await asyncio.wait_for(turns.get(), TIMEOUT_S)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert handled.values == []


async def test_a_producer_without_kafka_raises_unavailable(kafka_settings: KafkaTestSettings) -> None:
    settings = kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"})
    async with asyncio.timeout(TIMEOUT_S), open_producer(settings) as away:
        for attempt in (away.send_raw("any", None, b"", []), away.ping(), create_topics(settings, ["any"])):
            with pytest.raises(ExhaustError) as raised:
                await attempt
            assert raised.value.code is ErrorCode.SERVICE_UNAVAILABLE
            assert raised.value.retryable


async def test_a_session_timeout_that_kafka_refuses_is_a_wrong_setting(scene: Scene) -> None:
    too_long = scene.settings.model_copy(update={"kafka_session_timeout": timedelta(minutes=31)})
    refused = Scene(too_long, scene.producer, scene.topic)
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises(ConfigurationError, match="refuse EXHAUST_KAFKA_SESSION_TIMEOUT"):
            await refused.consumer_loop(Handled().note).run(asyncio.Event(), lambda: None, DRAIN)
