"""The reaper does not count the time in which a server was away."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from exhaust.errors import Dependency, unavailable
from exhaust.process.dependencies import DependencyGate
from services.status.away_time import AwayTime

AT_MOST = timedelta(hours=1)


class Gate(DependencyGate):
    """A gate that is told whether its server answers."""

    def __init__(self) -> None:
        super().__init__(Dependency.S3, self._never)
        self.is_away = False

    async def _never(self) -> None:
        raise unavailable(self.dependency)

    async def answers(self) -> bool:
        await asyncio.sleep(0)
        return not self.is_away


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def over_after(outage: timedelta) -> float:
    """How many seconds after an outage has ended requests may be reaped again."""
    clock, gate = Clock(), Gate()
    away = AwayTime([Gate(), gate], at_most=AT_MOST, clock=clock)
    assert await away.is_over()
    gate.is_away = True
    assert not await away.is_over()
    clock.now += outage.total_seconds()
    assert not await away.is_over()
    gate.is_away = False
    back_at = clock.now
    while not await away.is_over():
        clock.now += 10
    return clock.now - back_at


async def test_nothing_is_reaped_for_as_long_again_as_a_server_was_away() -> None:
    assert await over_after(timedelta(minutes=10)) == 600


async def test_a_long_outage_gives_every_request_its_full_time_and_no_more() -> None:
    assert await over_after(timedelta(hours=8)) == AT_MOST.total_seconds()
