"""Claims: a gateway publishes what it claims from the outbox, and others do so in its place when it does not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ExhaustError
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres import outbox
from exhaust.postgres.database import Database, open_database
from exhaust.process.health import Health
from services.gateway.relay import Relay, release_batch
from tests.support.outbox import CLAIM_FOR, Topic, end_claims, release, waiting

if TYPE_CHECKING:
    from pydantic import SecretStr

    from exhaust.postgres.outbox import OutboxEntry
    from tests.integration.conftest import RequestFactory

A, B = "org.example.a", "org.example.b"
DEADLINE_S = 30


async def test_a_crash_after_publishing_publishes_again_once_the_claim_is_over(
    database: Database, request_factory: RequestFactory
) -> None:
    filed = [await request_factory.request(partner=A) for _ in range(3)]
    topic = Topic()
    all_taken = asyncio.Event()

    async def publish(one: OutboxEntry) -> None:
        await topic.publish(one)
        if len(topic.taken) == len(filed):
            all_taken.set()
        await asyncio.Event().wait()

    crashing = asyncio.create_task(release_batch(database, publish, max_in_flight_per_partner=5, claim_for=CLAIM_FOR))
    await asyncio.wait_for(all_taken.wait(), DEADLINE_S)
    crashing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crashing
    assert await waiting(database) == set(filed)
    assert await release(database, topic) == []
    await end_claims(database)
    assert await release(database, topic) == filed
    assert topic.taken == [*filed, *filed]


async def test_a_slow_publish_keeps_no_other_in_the_outbox(database: Database, request_factory: RequestFactory) -> None:
    slow, *fast = [await request_factory.request(partner=A) for _ in range(3)]
    arrives = asyncio.Event()

    async def publish(one: OutboxEntry) -> None:
        if one.request.request_id == slow:
            await arrives.wait()

    batch = asyncio.create_task(release_batch(database, publish, max_in_flight_per_partner=9, claim_for=CLAIM_FOR))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await waiting(database) == {slow}:
                break
            await asyncio.sleep(0.01)
        assert not batch.done()
        # Nor does it keep anybody else from releasing.
        another = await request_factory.request(partner=B)
        assert await release(database, Topic()) == [another]
        arrives.set()
        assert (await batch).released == 1 + len(fast)
    assert await waiting(database) == set()


async def test_a_relay_goes_on_beside_a_slow_batch(database: Database, request_factory: RequestFactory) -> None:
    slow = await request_factory.request(partner=A)
    arrives, other_arrived = asyncio.Event(), asyncio.Event()
    health = Health()

    async def publish(one: OutboxEntry) -> None:
        if one.request.request_id == slow:
            await arrives.wait()
        else:
            other_arrived.set()

    relay = Relay(database, publish, MetricRegistry(), max_in_flight_per_partner=9, claim_for=CLAIM_FOR)
    running = asyncio.create_task(relay.run(health, timedelta(milliseconds=50)))
    async with asyncio.timeout(DEADLINE_S):
        await request_factory.request(partner=B)
        relay.wake()
        await other_arrived.wait()
        arrives.set()
        health.stop.set()
        await running
    assert slow not in await waiting(database)


async def test_claimed_requests_count_as_in_flight(database: Database, request_factory: RequestFactory) -> None:
    of_a = [await request_factory.request(partner=A) for _ in range(3)]
    claimed = await outbox.claim_entries(database, max_in_flight_per_partner=2, limit=9, claim_for=CLAIM_FOR)
    assert [entry.request.request_id for entry in claimed] == of_a[:2]
    assert await release(database, Topic(), limit=2) == []
    await outbox.give_back(database, claimed)
    assert await release(database, Topic(), limit=2) == of_a[:2]


async def test_a_gateway_that_stands_still_while_it_claims_is_not_waited_for_long(
    database: Database, runtime_dsn: SecretStr, request_factory: RequestFactory
) -> None:
    filed = await request_factory.request(partner=A)
    locked, released = asyncio.Event(), asyncio.Event()

    async def stand_still(frozen: Database) -> None:
        async with frozen.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", outbox.RELEASE_LOCK)
            locked.set()
            await released.wait()
            await connection.fetch("SELECT 1")

    async with open_database(runtime_dsn, pool_size=1, idle_timeout=timedelta(seconds=1)) as database_of_frozen:
        frozen = asyncio.create_task(stand_still(database_of_frozen))
        await locked.wait()
        with pytest.raises(ExhaustError, match="another process holds a lock"):
            await release(database, Topic())
        async with asyncio.timeout(DEADLINE_S):
            while not released.is_set():
                with suppress(ExhaustError):  # the lock is held for a while
                    assert await release(database, Topic()) == [filed]
                    released.set()
        with pytest.raises(ExhaustError) as ended:
            await frozen
        assert ended.value.retryable
