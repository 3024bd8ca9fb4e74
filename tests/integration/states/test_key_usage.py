"""What the aggregators built counts for the holder of the key, each day of telemetry once."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from exhaust.postgres.database import Database
from exhaust.postgres.key_usage import KEPT_FOR, forget_old_usage
from exhaust.postgres.request_commands import cancel_request, retry_request
from schemas.events import Progress
from services.status.request_states import RequestStates
from tests.integration.conftest import RequestFactory
from tests.integration.states.conftest import DAYS, apply_events, day_finished, refusal
from tests.support.completions import claim

AT_ONCE = timedelta(0)
MOST = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Holder:
    """A client, and what was built for it."""

    database: Database
    factory: RequestFactory
    user_id: int

    async def request(self, days: int = DAYS) -> UUID:
        return await self.factory.request(user_id=self.user_id, days=days, waiting=False)

    async def built(self) -> tuple[int, int]:
        """Days and bytes, whichever day of UTC it is."""
        row = await self.database.fetch_one(
            "SELECT coalesce(sum(days_built), 0)::bigint AS days, coalesce(sum(bytes_built), 0)::bigint AS bytes"
            " FROM key_usage WHERE user_id = $1",
            self.user_id,
        )
        assert row is not None
        return row["days"], row["bytes"]


@pytest.fixture
async def holder(database: Database, request_factory: RequestFactory) -> Holder:
    return Holder(database, request_factory, await request_factory.user())


def reused(event: Progress) -> Progress:
    assert event.day is not None
    return event.model_copy(update={"day": event.day.model_copy(update={"reused": True})})


def with_bytes(event: Progress, size: int) -> Progress:
    assert event.day is not None
    return event.model_copy(update={"day": event.day.model_copy(update={"bytes": size})})


async def test_days_that_are_built_add_up_for_each_holder_alone(
    states: RequestStates, holder: Holder, request_factory: RequestFactory
) -> None:
    other = Holder(holder.database, request_factory, await request_factory.user())
    first, second, foreign = await holder.request(), await holder.request(), await other.request()
    await apply_events(
        states,
        day_finished(first, 0, events=10),
        day_finished(first, 1, events=5),
        day_finished(second, 0, events=0),
        day_finished(foreign, 0, events=7),
    )
    assert await holder.built() == (3, 1500)
    assert await other.built() == (1, 700)


async def test_a_day_that_existed_costs_nothing(states: RequestStates, holder: Holder) -> None:
    request_id = await holder.request()
    await apply_events(states, *(reused(day_finished(request_id, number)) for number in range(DAYS)))
    assert await holder.built() == (0, 0)


async def test_a_day_counts_once_however_often_and_in_however_many_attempts_it_is_reported(
    states: RequestStates, holder: Holder
) -> None:
    request_id = await holder.request()
    for _ in range(3):
        await states.apply(claim(day_finished(request_id, 0), "the same event"))
    await apply_events(states, day_finished(request_id, 0), day_finished(request_id, 0, events=99))
    await states.reap(no_progress_after=AT_ONCE, max_attempts=3)
    await apply_events(states, day_finished(request_id, 0, attempt=2), day_finished(request_id, 1, attempt=2))
    await apply_events(states, day_finished(request_id, 1, attempt=1))  # late
    assert await holder.built() == (2, 2000)


async def test_days_that_are_reported_at_once_all_count(states: RequestStates, holder: Holder) -> None:
    requests = [await holder.request(days=4) for _ in range(5)]
    events = [day_finished(request_id, number) for request_id in requests for number in range(4)] * 2
    await asyncio.gather(*(states.apply(claim(event)) for event in events))
    assert await holder.built() == (20, 20_000)


async def test_what_was_built_before_the_aggregators_knew_of_a_cancel_counts(
    states: RequestStates, holder: Holder
) -> None:
    request_id = await holder.request()
    await states.apply(claim(day_finished(request_id, 0)))
    await cancel_request(holder.database, request_id, actor="user/7")
    await apply_events(states, *(day_finished(request_id, number) for number in (0, 1, 1)), day_finished(request_id, 2))
    assert await holder.built() == (3, 3000)
    await retry_request(holder.database, request_id, actor="user/7")
    await apply_events(states, *(day_finished(request_id, number, attempt=2) for number in range(DAYS)))
    assert await holder.built() == (3, 3000)


async def test_a_refused_event_counts_for_nobody(states: RequestStates, holder: Holder) -> None:
    request_id = await holder.request()
    assert await refusal(states, day_finished(request_id, DAYS)) == "DAY_OUTSIDE"
    assert await refusal(states, day_finished(request_id, 0), source="/somebody/else") == "NOT_YOURS"
    assert await holder.built() == (0, 0)


async def test_sizes_beyond_all_measure_stop_nothing(states: RequestStates, holder: Holder) -> None:
    first, second = await holder.request(), await holder.request()
    events = [day_finished(request_id, number) for request_id in (first, second) for number in range(DAYS)]
    await apply_events(states, *(with_bytes(event, MOST) for event in events))
    assert await holder.built() == (2 * DAYS, MOST)


async def test_old_usage_is_forgotten(holder: Holder, owner_database: Database) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO key_usage (user_id, day, days_built, bytes_built)"
            " SELECT $1, (now() AT TIME ZONE 'UTC')::date - ago, 1, 1 FROM generate_series(0, 9) AS ago",
            holder.user_id,
        )
    assert await forget_old_usage(holder.database) == 9 - KEPT_FOR.days
    assert await forget_old_usage(holder.database) == 0
    assert await holder.built() == (1 + KEPT_FOR.days, 1 + KEPT_FOR.days)
