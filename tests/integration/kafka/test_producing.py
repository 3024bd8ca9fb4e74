"""Sending events, and creating topics."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.errors import ExhaustError
from exhaust.kafka.producer import EventTooLargeError, TopicRefusedError, open_producer
from exhaust.kafka.records import Record
from exhaust.kafka.topics import create_topics
from exhaust.process.retry import retry_while_unavailable
from schemas.events import CloudEvent
from tests.integration.kafka.conftest import TIMEOUT_S, Handled, Scene

if TYPE_CHECKING:
    from tests.support.kafka_cluster import KafkaTestSettings


async def test_an_event_travels_as_a_binary_cloudevent(scene: Scene) -> None:
    event = CloudEvent(
        id="7/1/started",
        type="telemetry-exhaust.test.v1",
        source="/telemetry-exhaust/test",
        time=datetime(2026, 11, 1, 12, 30, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data='{"name":"café"}'.encode(),
    )
    handled = Handled()
    async with scene.member(handled.note):
        await scene.producer.send(scene.topic, "request-7", event)
        await handled.until(bool)
    [record] = handled.records
    assert record == Record(
        topic=scene.topic,
        partition=0,
        offset=0,
        key=b"request-7",
        value='{"name":"café"}'.encode(),
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"7/1/started"),
            ("ce_type", b"telemetry-exhaust.test.v1"),
            ("ce_source", b"/telemetry-exhaust/test"),
            ("ce_time", b"2026-11-01T12:30:00+00:00"),
            ("content-type", b"application/json"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
    )
    assert record.header("ce_type") == "telemetry-exhaust.test.v1"
    assert record.header("no such header") == ""


async def test_a_producer_sends_again_after_a_failure(scene: Scene) -> None:
    handled = Handled()
    async with open_producer(scene.settings) as own:
        await own.send_raw(scene.topic, None, b"before", [])
        with pytest.raises(EventTooLargeError):
            await own.send_raw(scene.topic, None, b"x" * 3_000_000, [])
        await own.send_raw(scene.topic, None, b"after", [])
        await own.ping()
    async with scene.member(handled.note):
        await handled.until_all(["before", "after"])
    assert handled.values == ["before", "after"]


async def test_an_event_that_the_topic_refuses_fails_alone(scene: Scene) -> None:
    """The topic takes 1 MiB, the producer's own limit is higher: the broker refuses."""
    handled = Handled()
    async with asyncio.timeout(TIMEOUT_S), open_producer(scene.settings) as own:
        await own.send_raw(scene.topic, None, b"before", [])
        with pytest.raises(EventTooLargeError, match=scene.topic):
            await own.send_raw(scene.topic, None, b"x" * 1_500_000, [])
        for number in range(5):
            await own.send_raw(scene.topic, None, b"after-%d" % number, [])
    async with scene.member(handled.note):
        await handled.until_all(["before", *(f"after-{number}" for number in range(5))])
    assert len(handled.values) == 6


async def test_a_missing_topic_is_told_from_a_missing_kafka(scene: Scene) -> None:
    async with asyncio.timeout(TIMEOUT_S), open_producer(scene.settings) as own:
        await own.send_raw(scene.topic, None, b"before", [])
        with pytest.raises(TopicRefusedError, match="topic no-such-topic does not exist") as refused:
            await own.send_raw("no-such-topic", None, b"lost", [])
        assert refused.value.retryable
        await own.send_raw(scene.topic, None, b"after", [])


async def test_a_ping_asks_kafka_itself(scene: Scene, kafka_process: int) -> None:
    async with open_producer(scene.settings) as own:
        await own.send_raw(scene.topic, None, b"before", [])
        os.kill(kafka_process, signal.SIGSTOP)
        try:
            with pytest.raises(ExhaustError, match="Kafka does not answer"):
                await own.ping()
        finally:
            os.kill(kafka_process, signal.SIGCONT)
        async with asyncio.timeout(TIMEOUT_S):
            await retry_while_unavailable(own.ping, give_up_after=None)


async def test_topics_are_created_once(kafka_settings: KafkaTestSettings) -> None:
    name = f"topic-{uuid4().hex[:8]}"
    assert await create_topics(kafka_settings, [name]) == [name]
    assert await create_topics(kafka_settings, [name]) == []
    assert await create_topics(kafka_settings) == []  # the fixture made them
