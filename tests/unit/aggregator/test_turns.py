"""Turns: whoever wants least gets the next free place, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from services.aggregator.build.turns import PATIENCE, Turns

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass
class Queue:
    """Turns that tell when they get their place, and end when they are told to."""

    turns: Turns
    granted: list[str] = field(default_factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)

    async def come(self, name: str, resources: Collection[str]) -> None:
        async def take() -> None:
            async with self.turns.place(lambda: resources):
                self.granted.append(name)
                await self.ends[name].wait()

        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(take())
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)


async def test_whoever_wants_least_goes_first_and_equals_in_their_order() -> None:
    demand = Counter({"flood": 9, "modest": 1, "other": 1})
    queue = Queue(Turns(1, demand))
    for name, resource in (("a", "flood"), ("b", "flood"), ("c", "flood"), ("d", "modest"), ("e", "other")):
        await queue.come(name, {resource})
    for name in "adeb":
        assert queue.granted[-1] == name
        await queue.end(name)
    assert queue.granted == ["a", "d", "e", "b", "c"]
    await queue.end("c")


async def test_a_turn_of_several_counts_as_that_of_the_least_demanding() -> None:
    queue = Queue(Turns(1, {"flood": 9, "modest": 1}))
    await queue.come("first", {"flood"})
    await queue.come("flood", {"flood"})
    shared = {"flood"}
    await queue.come("shared", shared)
    shared.add("modest")  # it joined while the turn waited
    await queue.end("first")
    assert queue.granted == ["first", "shared"]
    await queue.end("shared")
    await queue.end("flood")


async def test_one_resource_has_not_all_places() -> None:
    queue = Queue(Turns(3, {"flood": 9}, of_one=2))
    for name in "abc":
        await queue.come(name, {"flood"})
    assert queue.granted == ["a", "b"]
    await queue.come("modest", {"modest"})
    assert queue.granted == ["a", "b", "modest"]
    await queue.end("a")
    assert queue.granted[-1] == "c"
    for name in ("b", "c", "modest"):
        await queue.end(name)


async def test_who_has_waited_long_goes_first() -> None:
    now = 0.0
    queue = Queue(Turns(1, {"flood": 9}, clock=lambda: now))
    await queue.come("first", {"modest"})
    await queue.come("flood", {"flood"})
    now = PATIENCE.total_seconds() / 2
    await queue.come("second", {"modest"})
    await queue.come("third", {"modest"})
    await queue.end("first")
    assert queue.granted[-1] == "second"
    now = PATIENCE.total_seconds()
    await queue.end("second")
    assert queue.granted[-1] == "flood"
    await queue.end("flood")
    await queue.end("third")


@pytest.mark.parametrize("has_place", [True, False])
async def test_a_turn_that_is_cancelled_keeps_no_place(*, has_place: bool) -> None:
    queue = Queue(Turns(1, {}))
    await queue.come("first", {"a"})
    await queue.come("second", {"a"})
    await queue.come("third", {"a"})
    cancelled = queue.tasks["first" if has_place else "second"]
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    if not has_place:
        await queue.end("first")
    await asyncio.sleep(0)
    assert queue.granted[-1] == ("second" if has_place else "third")
    for name in ("second", "third"):
        if not queue.tasks[name].done():
            await queue.end(name)
    async with asyncio.timeout(1), AsyncExitStack() as stack:
        await stack.enter_async_context(queue.turns.place(set))


async def test_a_turn_cancelled_at_the_moment_of_its_grant_gives_the_place_on() -> None:
    queue = Queue(Turns(1, {}))
    await queue.come("first", {"a"})
    await queue.come("second", {"a"})
    await queue.come("third", {"a"})
    queue.tasks["second"].cancel()
    await queue.end("first")
    assert queue.granted == ["first", "third"]
    await queue.end("third")
