"""A poll that hangs is told from one that waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from exhaust.kafka.poll_watch import PollWatch
from exhaust.process.health import Health

STALL_LIMIT = timedelta(seconds=1)
LIMIT = timedelta(seconds=0.2)
TIMEOUT_S = 30


@dataclass
class Cluster:
    """Kafka, as far as a watch asks it."""

    away: bool
    asked: int = 0
    seen: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ping(self) -> None:
        async with self.seen:
            self.asked += 1
            self.seen.notify_all()
        if self.away:
            raise KafkaConnectionError

    async def until_asked(self, times: int) -> None:
        async with self.seen:
            await self.seen.wait_for(lambda: self.asked >= times)


@pytest.mark.parametrize("away", [True, False])
async def test_heartbeats_end_when_kafka_answers_and_a_poll_does_not(*, away: bool) -> None:
    cluster, health, stop = Cluster(away), Health(stall_limit=STALL_LIMIT), asyncio.Event()
    polling: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    watch = PollWatch(LIMIT)
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as running:
        running.create_task(watch.wait(polling, cluster.ping, stop, health.heartbeat("poll")))
        if away:
            await cluster.until_asked(4)  # longer than the stall limit by far
            assert health.stalled() == []
        else:
            for _ in range(200):
                await asyncio.sleep(0.05)  # the watchdog looks now and then, too
                if health.stalled():
                    break
            assert (health.stalled(), cluster.asked) == (["poll"], 1)
        polling.set_result(None)


async def test_a_rebalance_that_comes_on_is_no_hanging_poll() -> None:
    now = 0.0
    cluster, stop = Cluster(away=False), asyncio.Event()
    polling: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    watch = PollWatch(timedelta(minutes=3), clock=lambda: now)
    beats = asyncio.Queue[None]()

    async def pass_time() -> None:
        nonlocal now
        for _ in range(3):
            now += 170
            watch.restart()
            await beats.get()
        polling.set_result(None)

    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as running:
        running.create_task(watch.wait(polling, cluster.ping, stop, lambda: beats.put_nowait(None)))
        running.create_task(pass_time())
    assert cluster.asked == 0


async def test_a_stop_ends_the_wait() -> None:
    stop = asyncio.Event()
    stop.set()
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await PollWatch(LIMIT).wait(never, Cluster(away=False).ping, stop, lambda: None)
    assert not never.done()
