"""A little load: a partner who submits requests of one day, each for an archive that does not exist."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.recovery.testbed import OTHER_OWNER, OWNER, PLAN, WITHIN_S, until
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date

    from tests.recovery.testbed import Testbed

PER_SECOND: Final = 2.0
COMPLETE: Final = "complete"
_ACCEPTED: Final = 202
_numbers: Final = count()


@dataclass(slots=True)
class Load:
    """What was submitted, and what came back.

    Attributes:
        gateway: where it goes; the stack's own gateway without one.
        owner: the partner or channel whose telemetry is asked for.
        accepted: ids of requests.
        answers: by status, or by the kind of error of the connection.
        slowest: seconds of the slowest answer.
    """

    bed: Testbed
    gateway: str | None = None
    owner: str = OWNER
    accepted: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    async def submit(self, first: date | None = None, last: date | None = None) -> str | None:
        """Submit a request; return its id, or None when it was not accepted."""
        number = next(_numbers)
        days = PLAN.days
        first = first or days[number % len(days)]
        path = f"eks-consumption-raw/{resource_of(self.owner)}/{first}/{last or first}"
        query = f"tags[]={PLAN.tag_ids[0]}&tags[]=n{number}"
        url = f"{self.gateway or self.bed.stack.gateway}/v2/datasets/{path}?{query}"
        body = {"licenseKey": self.bed.partner.license_key, "partnerid": self.owner, "username": "somebody"}
        began = time.monotonic()
        try:
            async with self.bed.http.post(url, json={"request": body}) as answer:
                status = str(answer.status)
                told = await answer.json() if answer.status == _ACCEPTED else None
        except (aiohttp.ClientError, TimeoutError) as error:
            status, told = type(error).__name__, None
        self.answers[status] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        if told is None:
            return None
        self.accepted.append(told["result"]["requestid"])
        return self.accepted[-1]

    async def all_complete(self, within: float = WITHIN_S) -> float:
        """Wait until all that was accepted is complete, and return the seconds that took."""

        async def ended() -> bool:
            return (await self.bed.states(self.accepted)) == {COMPLETE: len(self.accepted)}

        try:
            return await until(ended, within)
        except TimeoutError:
            raise AssertionError(f"not complete: {await self.bed.states(self.accepted)}") from None

    def told(self) -> str:
        """What callers got, as text."""
        return ", ".join(f"{number} × {answer}" for answer, number in sorted(self.answers.items()))


@asynccontextmanager
async def load(bed: Testbed, gateway: str | None = None) -> AsyncIterator[Load]:
    """Submit at a steady pace while the block runs."""
    made = Load(bed, gateway)
    calls: set[asyncio.Task[str | None]] = set()

    async def submit() -> None:
        while True:
            calls.add(asyncio.create_task(made.submit()))
            await asyncio.sleep(1 / PER_SECOND)

    submitting = asyncio.create_task(submit())
    try:
        yield made
    finally:
        submitting.cancel()
        await asyncio.gather(submitting, *calls, return_exceptions=True)


async def flows_again(bed: Testbed, gateway: str | None = None) -> float:
    """Submit for another owner until that is accepted, wait until it is complete, and return the seconds of both.

    Requests of the same owner would wait in its own queue, behind what was submitted meanwhile.
    """
    began = time.monotonic()
    probe = Load(bed, gateway, OTHER_OWNER)

    async def accepted() -> bool:
        return await probe.submit() is not None

    await until(accepted)
    await probe.all_complete()
    return time.monotonic() - began
