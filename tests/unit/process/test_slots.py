"""The slots of a loop."""

from __future__ import annotations

import asyncio

import pytest

from exhaust.process.slots import WAITING_PER_SLOT, Slots


async def test_work_that_waits_outside_leaves_its_slot_to_others() -> None:
    slots = Slots(2)
    slots.take()
    slots.take()
    assert slots.free == 0
    with slots.wait_in_slot():
        assert (slots.free, slots.idle) == (0, 1)
    with slots.wait_outside():
        assert (slots.free, slots.idle) == (1, 1)
        slots.take()
    assert (slots.free, slots.idle) == (-1, 0)
    for _ in range(3):
        slots.give_back()
    assert slots.free == 2


async def test_only_so_many_wait_without_a_slot() -> None:
    slots, leave = Slots(1), asyncio.Event()

    async def wait() -> None:
        slots.take()
        with slots.wait_outside():
            await leave.wait()
        slots.give_back()

    waiting = [asyncio.create_task(wait()) for _ in range(WAITING_PER_SLOT + 3)]
    await asyncio.sleep(0)
    assert slots.free == 1 - 3
    leave.set()
    await asyncio.gather(*waiting)
    assert slots.free == 1


async def test_a_stop_ends_what_waits_and_nothing_else() -> None:
    slots, begun = Slots(3), asyncio.Event()
    ended = []

    async def wait() -> None:
        with slots.wait_outside():
            await asyncio.Event().wait()

    async def wait_later() -> None:
        await begun.wait()
        with slots.wait_in_slot():
            await asyncio.Event().wait()

    async def work() -> None:
        await begun.wait()
        ended.append("work")

    waiting, later, working = (asyncio.create_task(each()) for each in (wait, wait_later, work))
    await asyncio.sleep(0)
    slots.cancel_idle()
    begun.set()
    await working
    for task in (waiting, later):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
    assert ended == ["work"]
