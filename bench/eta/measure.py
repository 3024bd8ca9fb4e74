"""How often the end of a request lies in the range that its status told at half-way, and that an estimate told before.

Requests of 1 to 31 days, with and without tags, come at random; some wait for their turn, and of some days are built.
Each is polled as a partner would, more often than one, and every forecast is kept until its end is known.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bench.bars import Bar, at_least
from bench.errors import BenchError
from bench.progress import report_progress

if TYPE_CHECKING:
    from bench.fairness.testbed import Partner, Testbed

DAYS: Final = 31
EVENTS_PER_DAY: Final = 2_000
REQUESTS: Final = 50
WARM_UP: Final = 6  # before them nothing is known of any pace
LEAST_RIGHT: Final = 90.0
HALF_WAY: Final = 0.5
BESIDE: Final = (0.25, 0.75)
TAGGED: Final = 2 / 3  # of the requests; of the others the days are built sooner or later
_LENGTHS: Final = (1, 1, 1, 2, 3, 5, 7, 10, 14, 21, 31)
_MEAN_GAP: Final = timedelta(seconds=0.4)
_LOOK_FIRST: Final = timedelta(milliseconds=20)
_LOOKS_IN_A_LIFE: Final = 40  # about; the older a request is, the rarer it is looked at
_SEED: Final = 24


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a status told of the end, and when; None where it told nothing."""

    at: datetime
    earliest: datetime | None
    latest: datetime | None
    phase: str


@dataclass(slots=True)
class Life:
    """A request from its submit to its end, with what was told meanwhile, and before in seconds."""

    days: int
    estimate: dict[str, int] | None
    created_at: datetime
    ended_at: datetime
    told: list[Forecast]

    def at(self, share: float) -> Forecast | None:
        """Return what was told last before this share of its life had passed."""
        moment = self.created_at + (self.ended_at - self.created_at) * share
        return next((forecast for forecast in reversed(self.told) if forecast.at <= moment), None)

    def is_right(self, share: float) -> bool:
        """Return True when the end lies in the range that was told at this share of its life."""
        told = self.at(share)
        return bool(told and told.earliest and told.latest and told.earliest <= self.ended_at <= told.latest)

    def is_right_before(self) -> bool:
        """Return True when the time lies in the range that was estimated."""
        took = (self.ended_at - self.created_at).total_seconds()
        return self.estimate is not None and self.estimate["least"] <= took <= self.estimate["most"]

    def width(self) -> float | None:
        """Return how wide the range at half-way was, as a multiple of the whole life."""
        told = self.at(HALF_WAY)
        if not (told and told.earliest and told.latest):
            return None
        return (told.latest - told.earliest) / (self.ended_at - self.created_at)


@dataclass(frozen=True, slots=True)
class ForecastResult:
    """The lives of all requests."""

    lives: list[Life]

    def bars(self) -> list[Bar]:
        """Return the share of right forecasts with its limit."""
        right = {share: self._right(share) for share in (*BESIDE, HALF_WAY)}
        widths = [width for life in self.lives if (width := life.width()) is not None]
        untold = len(self.lives) - len(widths)
        waited = sum(forecast is not None and forecast.phase == "waiting" for forecast in self._at_half_way())
        told = (
            f"{len(self.lives)} requests, {waited} waiting at half-way: the end lies in the range told at half-way"
            f" ({right[BESIDE[0]]:.0f} % at a quarter, {right[BESIDE[1]]:.0f} % at three quarters; the range is"
            f" {median(widths):.1f} lives wide at the median; {untold} were told none)"
        )
        before = 100 * sum(life.is_right_before() for life in self.lives) / len(self.lives)
        widest = median(life.estimate["most"] - life.estimate["least"] for life in self.lives if life.estimate)
        estimated = (
            f"the time lies in the range that was estimated before the submit ({widest:.0f} s wide at the median)"
        )
        return [
            at_least(told, right[HALF_WAY], LEAST_RIGHT, "%"),
            at_least(estimated, before, LEAST_RIGHT, "%"),
        ]

    def _right(self, share: float) -> float:
        return 100 * sum(life.is_right(share) for life in self.lives) / len(self.lives)

    def _at_half_way(self) -> list[Forecast | None]:
        return [life.at(HALF_WAY) for life in self.lives]


async def measure_forecasts(testbed: Testbed) -> ForecastResult:
    """Submit requests of all sizes, and compare what was told with what came.

    Raises:
        BenchError: a request failed.
    """
    random = Random(_SEED)
    for _ in range(WARM_UP):
        await _live(testbed, random)
    report_progress(f"{WARM_UP} requests gave a pace")
    lives = []
    async with asyncio.TaskGroup() as group:
        for _ in range(REQUESTS):
            lives.append(group.create_task(_live(testbed, random)))
            await asyncio.sleep(random.expovariate(1 / _MEAN_GAP.total_seconds()))
    result = ForecastResult([life.result() for life in lives])
    for life in result.lives:
        told = life.at(HALF_WAY)
        if not life.is_right(HALF_WAY):
            report_progress(_missed(life, told))
        if not life.is_right_before():
            took = life.ended_at - life.created_at
            report_progress(f"{life.days} days took {took.total_seconds():.2f} s; estimated were {life.estimate} s")
    return result


def _missed(life: Life, told: Forecast | None) -> str:
    if told is None or told.earliest is None or told.latest is None:
        return f"{life.days} days: nothing was told at half-way"
    took, born = life.ended_at - life.created_at, life.created_at
    seconds = [(moment - born).total_seconds() for moment in (told.at, told.earliest, told.latest)]
    return (
        f"{life.days} days took {took.total_seconds():.2f} s; at {seconds[0]:.2f} s, {told.phase}, it was told"
        f" {seconds[1]:.2f} to {seconds[2]:.2f} s"
    )


async def _live(testbed: Testbed, random: Random) -> Life:
    days = random.choice(_LENGTHS)
    partner = random.choice((testbed.flooding, testbed.modest))
    tagged = random.random() < TAGGED
    first = random.randrange(len(testbed.days) - days + 1)
    ends = testbed.days[first], testbed.days[first + days - 1]
    estimate = await partner.estimate(*ends, tagged=tagged)
    request_id = await partner.submit(*ends, tagged=tagged)
    told = await _watch(partner, request_id)
    (row,) = await testbed.database.fetch(
        "SELECT created_at, ended_at FROM requests WHERE request_id = $1", UUID(request_id)
    )
    return Life(days, estimate, row["created_at"], row["ended_at"], told)


async def _watch(partner: Partner, request_id: str) -> list[Forecast]:
    began = datetime.now(UTC)
    told: list[Forecast] = []
    while True:
        status = await partner.status(request_id)
        now = datetime.now(UTC)
        if status["status"] == "complete":
            return told
        if status["status"] == "failed":
            raise BenchError(f"request {request_id} failed")
        eta = {end: datetime.fromisoformat(text) for end, text in status.get("eta", {}).items()}
        told.append(Forecast(now, eta.get("earliest"), eta.get("latest"), status["phase"]))
        await asyncio.sleep(max(_LOOK_FIRST, (now - began) / _LOOKS_IN_A_LIFE).total_seconds())
