"""Dates that no telemetry has, through every door; nothing of them may be written."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest

from tests.attacks.callers import ask, new_owner, resource_of
from tests.attacks.processes import start_again

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.attacks.callers import Caller, Callers, Reply
    from tests.attacks.rows import Rows

SOUND: Final = "2025-01-22"
DATES: Final = (
    *("0001-01-01", "0001-01-01%20BC", "1000-06-15", "1969-12-31", "9999-12-31", "0000-00-00", "10000-01-01"),
    *("-infinity", "infinity", "-0001-01-01", "epoch", "now", "today", "yesterday", "NaN", "0"),
    *("2026-02-30", "2026-13-01", "2026-1-1", "20260101", "2026-W01-1", "2026-01-01T00:00:00", "1.1.2026"),
    *("٢٠٢٥-٠١-٢٢", "２０２５-01-22", "2025-01-22 ", " 2025-01-22", "2025\u201101\u201122", "2025-01-22\n"),
)
DATASET: Final = "D001"


@dataclass(frozen=True, slots=True)
class Doors:
    """One caller before all operations that take days in their path."""

    caller: Caller
    owner: str

    async def through_each(self, days: str) -> dict[str, Reply]:
        """The answers to all calls with these days, by what was called."""
        http, stack, key = self.caller.http, self.caller.stack, self.caller.key
        header = {"X-API-Key": self.caller.license_key}
        submit = key | {"partnerid": self.owner, "username": "somebody"}
        path = f"{DATASET}/{resource_of(self.owner)}/{days}"
        v1, v3 = f"{stack.gateway}/v1/datasets/{path}", f"{stack.gateway}/data/v3/datasets/{path}"
        channel = header | {"X-Channel-ID": self.owner}
        calls = {
            f"v2 {days}": ask(http, f"{stack.gateway}/v2/datasets/{path}", submit),
            f"v1 POST {days}": ask(http, v1, key),
            f"v1 GET {days}": ask(http, v1, None, headers=header, method="GET"),
            f"v3 {days}": ask(http, v3, None, headers=channel, method="GET"),
        }
        return dict(zip(calls, await asyncio.gather(*calls.values()), strict=True))


@pytest.fixture
async def doors(callers: Callers, rows: Rows) -> AsyncIterator[Doors]:
    owner = new_owner()
    caller = await callers.new(owner)
    yield Doors(caller, owner)
    query = "SELECT array_agg(request_id::text) FROM requests WHERE resource = $1"
    if written := await rows.value(query, resource_of(owner)):
        await rows.forget(written)
        await start_again()


@pytest.mark.parametrize("date", DATES)
async def test_a_date_that_no_telemetry_has_is_refused_by_every_door(doors: Doors, rows: Rows, date: str) -> None:
    written = quote(date, safe="%")
    answers = await doors.through_each(f"{written}/{written}") | await doors.through_each(f"{SOUND}/{written}")
    wrong = {what: reply.told for what, reply in answers.items() if reply.told != (400, "INVALID_DATE")}
    # A range that begins so early is also too large: either of the two is said.
    either = await doors.through_each(written) | await doors.through_each(f"{written}/{SOUND}")
    wrong |= {what: told for what, told in ((what, reply.told) for what, reply in either.items()) if not _early(told)}
    assert wrong == {}
    assert await rows.requests_of(doors.caller.name) == 0


def _early(told: tuple[int, str]) -> bool:
    return told in set(itertools.product([400], ["INVALID_DATE", "DATE_RANGE_TOO_LARGE"]))
