"""Work that fails for long leaves the slots of its loop to other work, and ends at a stop."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from exhaust.errors import unavailable
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import WAITING_PER_SLOT, Slots

LIMIT_S = 10.0
LONG = Patience(timedelta(minutes=5), ())


class Failing:
    """Work that fails at once at first; a later try takes until it is let go, and then fails too."""

    def __init__(self, slots: Slots) -> None:
        self.retries = Retries(slots, LONG)
        self.again = 0
        self.most_again = 0
        self.going_on = asyncio.Event()
        self.changed = asyncio.Event()

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._run())

    async def _run(self) -> None:
        tries = 0
        self.retries.slots.take()

        async def work() -> None:
            nonlocal tries
            tries += 1
            if tries > 1:
                self.again += 1
                self.most_again = max(self.most_again, self.again)
                self.changed.set()
                try:
                    await self.going_on.wait()
                finally:
                    self.again -= 1
            raise unavailable("a scanning process")

        try:
            await self.retries.run(work)
        finally:
            self.retries.slots.give_back()


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_work_leaves_its_slot_between_two_tries() -> None:
    slots = Slots(1)
    failing = Failing(slots)
    tasks = [failing.start()]
    await asyncio.sleep(0)
    assert (slots.free, slots.idle) == (1, 1)
    async with asyncio.timeout(LIMIT_S):
        await failing.changed.wait()
    assert (slots.free, slots.idle) == (0, 0)
    failing.going_on.set()
    await end(tasks)
    assert (slots.free, slots.idle) == (1, 0)


async def test_however_much_fails_half_of_the_slots_are_for_other_work() -> None:
    slots = Slots(4)
    failing = Failing(slots)
    tasks = [failing.start() for _ in range(4 * WAITING_PER_SLOT)]
    async with asyncio.timeout(LIMIT_S):
        while failing.again < 2:
            failing.changed.clear()
            await failing.changed.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert (failing.most_again, slots.free) == (2, 2)
    failing.going_on.set()
    await end(tasks)
    assert (slots.free, slots.idle) == (4, 0)


async def test_a_stop_ends_work_between_two_tries_and_lets_a_try_end() -> None:
    slots = Slots(4)
    failing = Failing(slots)
    trying, waiting = failing.start(), Failing(slots).start()
    async with asyncio.timeout(LIMIT_S):
        await failing.changed.wait()
        slots.cancel_idle()
        assert not trying.done()
        failing.going_on.set()
        with pytest.raises(asyncio.CancelledError):
            await trying
        await end([waiting])
