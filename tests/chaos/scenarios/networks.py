"""Faults on the way to a server: connections that are reset, cut, stalled and slowed, and answers that are lost."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from tests.chaos.clients import load
from tests.chaos.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.chaos.scenario import Run

PER_SECOND: Final = 5.0
BETWEEN_S: Final = (0.5, 2.0)
FIRES_WITHIN_S: Final = 20.0
_LOST_BY_S3: Final = (
    re.compile(r"POST .*\?uploadId="),  # CompleteMultipartUpload
    re.compile(r"PUT .*/days/[0-9-]+\.json"),  # a marker: the driver asks again, and learns that it exists (412)
    re.compile(r"PUT .*/outcome\.json"),
    re.compile(r"PUT .*partNumber="),
    re.compile(r"POST .*\?uploads"),
    re.compile(r"PUT /telemetry-exhaust/records/"),
)


async def _play(run: Run, faults: Sequence[Callable[[Run], Awaitable[None]]]) -> None:
    """Make the faults in an order by the seed, each as often as the others."""
    order: list[Callable[[Run], Awaitable[None]]] = []
    while len(order) < run.count:
        order += run.random.sample(list(faults), len(faults))
    async with load(run.clients, PER_SECOND):
        for fault in order[: run.count]:
            await run.rig.raw.add_days(2)
            await asyncio.sleep(run.random.uniform(*BETWEEN_S))
            await fault(run)
    await asyncio.gather(*(child.ready() for child in run.rig.children))


# S3.


async def _storm(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    run.timeline.note("s3: storm of 503")
    with proxy.storming(run.random.choice((0.3, 0.7, 1.0)), run.random):
        await asyncio.sleep(run.random.uniform(1.0, 4.0))


async def _cut_s3(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    proxy.cuts += [run.random.randrange(1, 4000) for _ in range(4)]
    proxy.reset_all()  # so that new connections come
    await _large_request(run)
    await _until(lambda: not proxy.cuts)


async def _reset_s3(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    await _large_request(run)
    for _ in range(3):
        await _until(lambda: bool(proxy.reset_all()))
        await asyncio.sleep(run.random.uniform(0.05, 0.4))


async def _stall_s3(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    with proxy.stalled():
        await asyncio.sleep(run.random.uniform(1.0, 5.0))


async def _slow_s3(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    with proxy.slowed(delay=0.05, rate=200_000):
        await asyncio.sleep(3.0)


async def _lose_s3(run: Run) -> None:
    proxy = run.rig.s3_proxy
    assert proxy is not None
    lost = run.random.choice(_LOST_BY_S3)
    proxy.lose.append(lost)
    await _large_request(run)
    await _until(lambda: lost not in proxy.lose)


async def _large_request(run: Run) -> None:
    """Ask for something that takes a multipart upload."""
    await run.rig.raw.add_large_day()
    run.clients.begin(run.rig.raw.ask_large(), keyed=True)


# PostgreSQL.


async def _reset_postgres(run: Run) -> None:
    proxy = run.rig.postgres_proxy
    assert proxy is not None
    for _ in range(3):
        await _until(lambda: bool(proxy.reset_all()))
        await asyncio.sleep(run.random.uniform(0.1, 0.5))


async def _lose_commit(run: Run) -> None:
    await _lose_postgres(run, b"COMMIT")


async def _lose_accept(run: Run) -> None:
    """Lose the answer of the one statement by which a submit without a key is accepted."""
    await _lose_postgres(run, b"INSERT INTO requests")


async def _lose_release(run: Run) -> None:
    await _lose_postgres(run, b"DELETE FROM outbox")


async def _lose_postgres(run: Run, word: bytes) -> None:
    proxy = run.rig.postgres_proxy
    assert proxy is not None
    proxy.lose.append(word)
    await _until(lambda: word not in proxy.lose)


async def _stall_postgres(run: Run) -> None:
    proxy = run.rig.postgres_proxy
    assert proxy is not None
    with proxy.stalled():
        await asyncio.sleep(run.random.uniform(1.0, 12.0))


# Kafka.


async def _reset_kafka(run: Run) -> None:
    proxy = run.rig.kafka_proxy
    assert proxy is not None
    for _ in range(3):
        await _until(lambda: bool(proxy.reset_all()))
        await asyncio.sleep(run.random.uniform(0.05, 0.5))


async def _cut_kafka(run: Run) -> None:
    proxy = run.rig.kafka_proxy
    assert proxy is not None
    proxy.cuts += [run.random.randrange(1, 1500) for _ in range(4)]
    proxy.reset_all()
    await _until(lambda: not proxy.cuts)


async def _stall_kafka(run: Run) -> None:
    proxy = run.rig.kafka_proxy
    assert proxy is not None
    with proxy.stalled():
        await asyncio.sleep(run.random.uniform(1.0, 8.0))


async def _slow_kafka(run: Run) -> None:
    proxy = run.rig.kafka_proxy
    assert proxy is not None
    with proxy.slowed(delay=0.2):
        await asyncio.sleep(4.0)


async def _until(condition: Callable[[], bool]) -> None:
    """Wait until a fault has fired; the report says which never did."""
    deadline = asyncio.get_running_loop().time() + FIRES_WITHIN_S
    while not condition() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)


async def _play_s3(run: Run) -> None:
    run.timeline.due |= {"s3: 503", "s3: cut", "s3: reset", "s3: stall", "s3: slow", "s3: lost answer"}
    await _play(run, (_storm, _cut_s3, _reset_s3, _stall_s3, _slow_s3, _lose_s3, _lose_s3))


async def _play_postgres(run: Run) -> None:
    run.timeline.due |= {"postgres: reset", "postgres: stall", "postgres: lost answer of COMMIT"}
    await _play(run, (_reset_postgres, _lose_commit, _lose_accept, _lose_release, _stall_postgres))


async def _play_kafka(run: Run) -> None:
    run.timeline.due |= {"kafka: reset", "kafka: cut", "kafka: stall", "kafka: delay"}
    await _play(run, (_reset_kafka, _cut_kafka, _stall_kafka, _slow_kafka))


S3: Final = Scenario("s3", _play_s3, short=25, long=250, proxied=("seaweedfs",))
POSTGRES_NETWORK: Final = Scenario("postgres-network", _play_postgres, short=5, long=50, proxied=("postgres",))
KAFKA_NETWORK: Final = Scenario("kafka-network", _play_kafka, short=4, long=40, proxied=("kafka",))
