"""The health of a process asks its dependencies once a second, however many ask it."""

import asyncio
from dataclasses import dataclass

from exhaust.errors import unavailable
from exhaust.process.health import Health


@dataclass
class Dependency:
    asked: int = 0
    away: bool = False

    async def ping(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise unavailable("it")


async def test_many_who_ask_at_once_cost_one_question() -> None:
    now = 1000.0
    dependency = Dependency()
    asked = Health(checks={"it": dependency.ping}, clock=lambda: now)
    assert await asyncio.gather(*(asked.unready() for _ in range(50))) == [{}] * 50
    dependency.away = True
    now += 0.9
    assert (await asked.unready(), dependency.asked) == ({}, 1)
    now += 0.1
    assert set(await asked.unready()) == {"it"}
    assert dependency.asked == 2


async def test_who_gives_up_cancels_nobody_elses_answer() -> None:
    dependency = Dependency()
    asked = Health(checks={"it": dependency.ping})
    impatient = asyncio.create_task(asked.unready())
    patient = asyncio.create_task(asked.unready())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == {}
    assert dependency.asked == 1


async def test_a_process_that_drains_says_so_at_once() -> None:
    asked = Health(checks={"it": Dependency().ping})
    assert await asked.unready() == {}
    asked.stop.set()
    assert await asked.unready() == {"process": "draining"}
