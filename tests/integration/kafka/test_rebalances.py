"""Rebalances lose nothing, and hide nothing that is unfinished."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from aiokafka.errors import GroupAuthorizationFailedError

from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.group_consumer import GroupConsumer
from exhaust.kafka.producer import Producer, open_producer
from tests.integration.kafka.conftest import AT_ONCE, DRAIN, TIMEOUT_S, Handled, Scene, new_scene

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from exhaust.kafka.group_consumer import Poll
    from exhaust.kafka.records import Record
    from tests.support.kafka_cluster import KafkaTestSettings


async def test_a_member_that_joins_and_leaves_loses_no_record(
    kafka_settings: KafkaTestSettings, producer: Producer
) -> None:
    scene = await new_scene(kafka_settings, producer, partitions=3)
    first, second, gate = Handled(), Handled(), asyncio.Event()

    async def work(record: Record) -> None:
        await first.note(record)
        if record.value.startswith(b"long"):
            await gate.wait()

    sent = await scene.spread("a")
    async with scene.member(work, concurrency=16):
        await first.until_all(sent)
        sent += await scene.spread("long")
        await first.until_all(sent)
        async with scene.member(second.note, concurrency=16):
            sent += await scene.spread("b")
            # It has some of the partitions now, with the unfinished records on them.
            await second.until(lambda values: any(value.startswith("b") for value in values))
            gate.set()
            sent += await scene.spread("c")
            await first.until(lambda values: any(value.startswith("c") for value in values))
        alone = await scene.spread("d")
        await first.until_all(alone)
    assert set(first.values) | set(second.values) == {*sent, *alone}
    assert await scene.uncommitted() == []


async def test_records_finished_before_a_rebalance_are_not_delivered_again(scene: Scene) -> None:
    handled, joined = Handled(), Handled()
    neighbour = replace(await new_scene(scene.settings, scene.producer, partitions=1), group=scene.group)
    enough = asyncio.Event()

    async def flow() -> None:
        for number in itertools.count():
            await asyncio.gather(*(scene.send(f"{number} {place}") for place in range(20)))
            if enough.is_set():
                break

    async with asyncio.TaskGroup() as flowing, scene.member(handled.note):
        sending = flowing.create_task(flow())
        for number in range(3):
            await neighbour.send(f"joined {number}")
            # A member that reads another topic: everything is revoked and comes back to the same member.
            async with neighbour.member(joined.note):
                await joined.until_all([f"joined {number}"])
        enough.set()
        await sending
    assert len(handled.values) == len(set(handled.values))


async def test_work_from_before_a_rebalance_counts_after_it(scene: Scene) -> None:
    begun, finished = Handled(), Handled()
    gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def work(record: Record) -> None:
        await begun.note(record)
        await gates[record.value.decode()].wait()
        await finished.note(record)

    joined = Handled()
    neighbour = replace(await new_scene(scene.settings, scene.producer, partitions=1), group=scene.group)
    await neighbour.send("joined")
    await scene.send("0", "1", "2", "3")
    async with scene.member(work, concurrency=4, drain=AT_ONCE):
        await begun.until_all(["0", "1", "2", "3"])
        # A member that reads another topic: everything is revoked and comes back to the same member.
        async with neighbour.member(joined.note):
            await joined.until_all(["joined"])
            for number in ("1", "3", "0"):
                gates[number].set()
            await finished.until_all(["0", "1", "3"])
            await scene.until_committed(2)
    assert begun.values == ["0", "1", "2", "3"]
    # What was not committed is read again, and nothing that was is.
    assert await scene.uncommitted() == ["2", "3"]


async def test_a_poll_that_ended_before_a_rebalance_counts_for_nothing_after_it(scene: Scene) -> None:
    revoked, polled = asyncio.Event(), asyncio.Event()

    class SlowToTell(GroupConsumer):
        """Its first poll with records of both partitions ends before a rebalance, and is looked at after it."""

        async def poll(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Poll:
            poll = await super().poll(*partitions, timeout_ms=timeout_ms, max_records=max_records)
            if len(poll.records) > 1 and not polled.is_set():
                polled.set()
                await revoked.wait()
            return poll

    class Noting(ConsumerLoop):
        async def on_revoked(self, consumer: GroupConsumer) -> None:
            await super().on_revoked(consumer)
            if polled.is_set():
                revoked.set()

    handled, by_second, stop = Handled(), Handled(), asyncio.Event()

    async def second(record: Record) -> None:
        await by_second.note(record)
        await handled.note(record)

    pair = await new_scene(scene.settings, scene.producer, partitions=2)
    sent = await pair.spread("a")
    slow = pair.consumer_loop(handled.note, len(sent), SlowToTell, Noting)
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as running:
        running.create_task(slow.run(stop, lambda: None, DRAIN))
        await polled.wait()
        async with pair.member(second):
            await by_second.until(bool)  # it has one of the partitions now
            sent += await pair.spread("b")
            await handled.until_all(sent)
            await pair.until_committed(len(sent))
            stop.set()
    assert sorted(handled.values) == sorted(sent)


async def test_a_member_joins_again_when_the_driver_fails(scene: Scene) -> None:
    begun, finished, gate = Handled(), Handled(), asyncio.Event()
    failed = asyncio.Event()

    class Failing(GroupConsumer):
        async def poll(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Poll:
            if begun.values and not failed.is_set():
                failed.set()
                raise GroupAuthorizationFailedError(scene.group)
            return await super().poll(*partitions, timeout_ms=timeout_ms, max_records=max_records)

    async def work(record: Record) -> None:
        await begun.note(record)
        await gate.wait()
        await finished.note(record)

    await scene.send("in work")
    async with scene.member(work, consumer_type=Failing):
        await failed.wait()
        await scene.send("later")
        await begun.until_all(["in work", "later"])
        gate.set()
        await scene.until_committed(2)
    assert finished.values == ["in work", "later"]


async def test_a_member_joins_once_the_session_of_a_frozen_one_has_expired(scene: Scene) -> None:
    # A member that was killed holds the group until its session ends, which takes longer than any one call may.
    slow = Scene(
        scene.settings.model_copy(update={"kafka_session_timeout": timedelta(seconds=11)}), scene.producer, scene.topic
    )
    frozen, thaw = threading.Event(), threading.Event()

    async def freeze(_record: Record) -> None:
        frozen.set()
        thaw.wait(TIMEOUT_S)  # stops its whole event loop, heartbeats included

    async def frozen_member() -> None:
        stop = asyncio.Event()
        async with open_producer(slow.settings) as own, asyncio.TaskGroup() as running:
            consumer_loop = Scene(slow.settings, own, slow.topic, slow.group).consumer_loop(freeze)
            running.create_task(consumer_loop.run(stop, lambda: stop.set() if thaw.is_set() else None, timedelta(0)))

    await slow.send("first")
    frozen_thread = asyncio.create_task(asyncio.to_thread(asyncio.run, frozen_member()))
    handled = Handled()
    try:
        assert await asyncio.to_thread(frozen.wait, TIMEOUT_S)
        async with slow.member(handled.note):
            await handled.until_all(["first"])
    finally:
        thaw.set()
        await frozen_thread
