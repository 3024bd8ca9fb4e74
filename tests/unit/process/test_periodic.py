"""Loops that wait: they beat meanwhile, outlive what is expected, and end with a stop."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from exhaust.errors import unavailable
from exhaust.process.health import Health, Heartbeat
from exhaust.process.periodic import run_periodically, wait_for_event, wait_for_first

DEADLINE_S = 20
LONG, SHORT = timedelta(hours=1), timedelta(milliseconds=1)


def counted(turns: int, reached: asyncio.Event) -> Heartbeat:
    """A heartbeat that says when it has beaten so often."""
    left = turns

    def beat() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            reached.set()

    return beat


async def ran(work: Callable[[Health, int], Awaitable[None]], *, interval: timedelta, wake: asyncio.Event) -> Health:
    """A loop whose work is given the number of each turn, and which ends by a stop."""
    health = Health(stall_limit=timedelta(milliseconds=200))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        await work(health, turns)

    async with asyncio.timeout(DEADLINE_S):
        await run_periodically(health, "test", turn, interval=interval, wake=wake)
    return health


async def test_a_long_wait_sends_heartbeats() -> None:
    beaten = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as running:
        waiting = running.create_task(wait_for_event(asyncio.Event(), heartbeat=counted(3, beaten), limit=LONG))
        await beaten.wait()
        assert not waiting.done()
        waiting.cancel()


async def test_a_wait_ends_at_its_limit_and_at_the_first_event() -> None:
    never, early = asyncio.Event(), asyncio.Event()
    early.set()
    async with asyncio.timeout(DEADLINE_S):
        await wait_for_event(never, heartbeat=lambda: None, limit=SHORT)
        await wait_for_event(never, early, heartbeat=lambda: None, limit=LONG)
        await wait_for_event(never, early, heartbeat=lambda: None)


async def test_a_wait_leaves_the_futures_as_they_are() -> None:
    going_on = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(DEADLINE_S):
        await wait_for_first([going_on], heartbeat=lambda: None, limit=SHORT)
    assert not going_on.done()


async def test_a_loop_turns_until_the_stop() -> None:
    seen: list[int] = []

    async def work(health: Health, turn: int) -> None:
        seen.append(turn)
        if turn == 3:
            health.stop.set()

    await ran(work, interval=SHORT, wake=asyncio.Event())
    assert seen == [1, 2, 3]


async def test_a_stop_does_not_wait_for_the_interval() -> None:
    async def work(health: Health, turn: int) -> None:
        assert turn == 1
        asyncio.get_running_loop().call_later(0.01, health.stop.set)

    await ran(work, interval=LONG, wake=asyncio.Event())


async def test_a_wake_in_the_middle_of_a_turn_begins_the_next_at_once() -> None:
    wake = asyncio.Event()

    async def work(health: Health, turn: int) -> None:
        (wake if turn == 1 else health.stop).set()

    await ran(work, interval=LONG, wake=wake)
    assert not wake.is_set()


async def test_a_server_that_is_away_and_a_turn_that_hangs_do_not_end_the_loop() -> None:
    given_up = asyncio.Event()

    async def work(health: Health, turn: int) -> None:
        if turn == 1:
            raise unavailable("the database")
        if turn == 2:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
        health.stop.set()

    health = await ran(work, interval=SHORT, wake=asyncio.Event())
    assert given_up.is_set()
    assert health.stalled() == []


async def test_a_turn_with_a_defect_does_not_end_the_loop() -> None:
    turns = []

    async def work(health: Health, turn: int) -> None:
        turns.append(turn)
        if turn == 1:
            raise KeyError("defect")
        health.stop.set()

    await ran(work, interval=SHORT, wake=asyncio.Event())
    assert turns == [1, 2]


async def test_a_loop_without_a_heartbeat_is_stalled() -> None:
    health = Health(stall_limit=timedelta(0))
    health.heartbeat("quiet")
    assert health.stalled() == ["quiet"]
