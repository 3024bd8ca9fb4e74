"""Lag on a real Kafka: equal to what Kafka's own tool says, and never 0 where nothing is known."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local.stack import start_stack
from exhaust.errors import ExhaustError
from exhaust.lag.groups import UnseenGroup
from exhaust.lag.kafka_lag import open_kafka_lag
from exhaust.lag.memory import remember
from tests.integration.kafka.conftest import KEYS, TIMEOUT_S, Handled
from tests.support.frozen import frozen
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from exhaust.kafka.producer import Producer
    from tests.integration.lag.conftest import Watched
    from tests.support.kafka_cluster import KafkaTestSettings
    from tests.support.kafka_tools import KafkaTools

LIMIT_S = 2.2  # of a look: its deadline, and a loaded machine


async def test_a_new_topic_without_commits_has_no_lag(watched: Watched) -> None:
    group = await watched.look()
    assert (group.messages, group.members, group.oldest, group.written) == (0, (), None, 0)
    assert {partition.committed for partition in group.partitions} == {None}
    assert len(group.partitions) == 3


async def test_what_a_group_never_read_counts_whole(watched: Watched) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await watched.scene.spread("unread")
    group = await watched.look()
    assert group.messages == len(KEYS)
    assert group.oldest is not None
    assert before < group.oldest <= datetime.now(UTC)


async def test_figures_are_those_of_kafkas_own_tool(watched: Watched, tools: KafkaTools) -> None:
    scene, handled = watched.scene, Handled()
    first = await scene.spread("read")
    async with scene.member(handled.note):
        await handled.until_all(first)
        await scene.until_committed(len(KEYS))
        [member] = (await watched.look()).members
        assert member.partitions == (0, 1, 2)
    await scene.spread("unread")
    await scene.spread("unread too")
    group = await watched.look()
    assert (group.messages, group.members) == (2 * len(KEYS), ())
    told = await tools.describe(scene.group)
    ours = [(found.partition, found.committed, found.end, found.messages) for found in group.partitions]
    assert [(line.partition, line.committed, line.end, line.lag) for line in told] == ours


async def test_the_age_of_the_first_unread_record_is_its_time_and_not_that_of_later_ones(watched: Watched) -> None:
    scene = watched.scene
    await scene.send("first")
    first = await watched.look()
    await scene.send("second")
    second = await watched.look()
    assert first.oldest is not None
    assert first.oldest == second.oldest
    assert (first.messages, second.messages) == (1, 2)


async def test_an_offset_that_is_set_back_is_seen(watched: Watched, tools: KafkaTools) -> None:
    scene, handled = watched.scene, Handled()
    values = [f"value-{number}" for number in range(9)]
    await scene.send(*values)
    async with scene.member(handled.note):
        await handled.until_all(values)
        await scene.until_committed(9)
    read = await watched.look()
    memory = remember(read, None, datetime.now(UTC))
    await tools.set_back(scene.group, scene.topic, 4)
    back = await watched.look()
    rewind = remember(back, memory, datetime.now(UTC)).rewind
    assert (read.messages, back.messages) == (0, 5)
    assert rewind is not None
    assert (rewind.topic, rewind.before, rewind.after) == (scene.topic, 9, 4)


async def test_records_of_workers_are_read_once(watched: Watched, producer: Producer) -> None:
    for number in range(3):
        await producer.send_raw(watched.beats, b"worker", b"%d" % number, [])
    assert (await watched.kafka.look()).told == (b"0", b"1", b"2")
    assert (await watched.kafka.look()).told == ()
    await producer.send_raw(watched.beats, b"worker", b"3", [])
    assert (await watched.kafka.look()).told == (b"3",)


async def test_a_topic_that_does_not_exist_is_unseen_with_the_reason(kafka_settings: KafkaTestSettings) -> None:
    async with open_kafka_lag(kafka_settings, {"some-group": "no-such-topic"}, "no-beats") as kafka:
        look = await kafka.look()
    unseen = look.groups["some-group"]
    assert isinstance(unseen, UnseenGroup)
    assert "topic no-such-topic does not exist" in unseen.why


def driver_threads() -> set[str]:
    """The threads that the driver has started, which no list of Python's shows."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if (task / "comm").read_text().startswith("rdk:"):
                found.add(task.name)
    return found


async def test_a_closed_one_leaves_no_thread_of_the_driver(kafka_settings: KafkaTestSettings) -> None:
    before = driver_threads()
    async with open_kafka_lag(kafka_settings, {"nobody": "none"}, "none") as kafka:
        await kafka.look()
        assert driver_threads() - before
    del kafka
    async with asyncio.timeout(TIMEOUT_S):
        for pause in itertools.repeat(0.05):
            if not driver_threads() - before:
                break
            await asyncio.sleep(pause)


async def test_brokers_that_refuse_connections_are_told_within_two_seconds(kafka_settings: KafkaTestSettings) -> None:
    away = kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{closed_port()}"})
    async with open_kafka_lag(away, {"some-group": "some-topic"}, "some-beats") as kafka:
        started = time.monotonic()
        with pytest.raises(ExhaustError, match="Kafka does not answer"):
            await kafka.look()
        assert time.monotonic() - started < LIMIT_S


async def test_a_wrong_password_is_told_as_that(kafka_settings: KafkaTestSettings) -> None:
    if kafka_settings.kafka_sasl_password is None:
        pytest.skip("this Kafka asks for no password")
    wrong = kafka_settings.model_copy(update={"kafka_sasl_username": "nobody"})
    async with open_kafka_lag(wrong, {"some-group": "some-topic"}, "some-beats") as kafka:
        async with asyncio.timeout(TIMEOUT_S):
            told = ""
            while "refuses the user" not in told:  # on a loaded machine the deadline of a look may come first
                with pytest.raises(ExhaustError) as refused:
                    await kafka.look()
                told = refused.value.message


async def test_a_kafka_that_hangs_is_told_within_two_seconds_and_seen_again_afterwards(
    watched: Watched, kafka_process: int
) -> None:
    await watched.look()
    with frozen(kafka_process):
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(ExhaustError, match="Kafka does not answer"):
                await watched.kafka.look()
            assert time.monotonic() - started < LIMIT_S
    deadline = time.monotonic() + 30
    while True:
        try:
            assert (await watched.look()).messages == 0
            break
        except ExhaustError:
            assert time.monotonic() < deadline


async def test_looks_outlive_a_broker_that_is_killed_and_starts_again(
    watched: Watched, kafka_process: int, servers_folder: Path
) -> None:
    await watched.scene.send("unread")
    assert (await watched.look()).messages == 1
    os.kill(kafka_process, signal.SIGKILL)
    starting = asyncio.create_task(
        asyncio.to_thread(start_stack, servers_folder, services=False, stop_at_exit=True), name="start Kafka again"
    )
    told: set[str] = set()
    async with asyncio.timeout(2 * TIMEOUT_S):
        while not starting.done() or await why(watched):
            told |= await why(watched)
    assert "Kafka does not answer" in told
    assert (await watched.look()).messages == 1


async def why(watched: Watched) -> set[str]:
    """Why a look did not see the group; nothing when it did."""
    try:
        group = (await watched.kafka.look()).groups[watched.scene.group]
    except ExhaustError as error:
        return {error.message.partition(";")[0]}
    return {group.why} if isinstance(group, UnseenGroup) else set()
