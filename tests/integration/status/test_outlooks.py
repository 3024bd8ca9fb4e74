"""Where a request in progress stands: its phase, its place in line and why, as its partner is told."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from exhaust.domain.catalogue import load_catalogue
from exhaust.operations.orders import Order
from exhaust.operations.pausing import pause, paused_dataset, resume
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.outbox import claim_entries, give_back
from exhaust.postgres.parked_requests import park_request
from exhaust.postgres.request_views import find_requests
from schemas.events import FinishedDay, Progress
from services.status.outlooks import LINE_FOR, Outlook, Outlooks
from services.status.request_states import RequestStates
from tests.integration.conftest import LONG_AGO, PARTNER, RequestFactory
from tests.integration.status.conftest import DAYS, Status, listed
from tests.support.completions import claim
from tests.support.outbox import Topic, release

LIMIT = 2
SECRET = "maple floods us"
ORDER = Order("service/test", SECRET)


@dataclass
class Asker:
    """Looks at requests as the status service does, a second after the look before."""

    database: Database
    now: float = 0.0
    outlooks: Outlooks = field(init=False)

    def __post_init__(self) -> None:
        self.outlooks = Outlooks(
            self.database,
            load_catalogue(None),
            lambda: self.now,
            max_in_flight=LIMIT,
            no_progress_after=timedelta(hours=1),
        )

    async def ask(self, *request_ids: UUID, later: bool = True) -> list[Outlook | None]:
        if later:
            self.now += LINE_FOR.total_seconds()
        found = await self.outlooks.find(list((await find_requests(self.database, request_ids)).values()))
        return [found.get(request_id) for request_id in request_ids]

    async def positions(self, *request_ids: UUID) -> list[int | None]:
        return [found.position if found else None for found in await self.ask(*request_ids)]


@pytest.fixture
def asker(database: Database) -> Asker:
    return Asker(database)


async def ends(database: Database, request_id: UUID) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE requests SET state = 'complete', ended_at = now() WHERE request_id = $1", request_id
        )


async def test_positions_are_the_order_of_release(
    asker: Asker, database: Database, request_factory: RequestFactory
) -> None:
    at_work = [await request_factory.request(waiting=False) for _ in range(LIMIT)]
    long, short, middle = [await request_factory.request(days=days) for days in (9, 1, 3)]
    assert await asker.positions(long, short, middle) == [3, 1, 2]
    outlook, *_ = await asker.ask(long)
    assert outlook is not None
    assert outlook.because == "2 of your requests are at work, the most at a time; this is your 3rd in line"
    topic = Topic()
    for request_id, left in ((short, [2, None, 1]), (middle, [1, None, None])):
        await ends(database, at_work.pop())
        assert await release(database, topic, limit=LIMIT) == [request_id]
        assert await asker.positions(long, short, middle) == left
        at_work.append(request_id)


async def test_a_position_never_rises(
    asker: Asker, database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    for _ in range(LIMIT):
        await request_factory.request(waiting=False)
    first, second = [await request_factory.request(days=days) for days in (4, 5)]
    assert await asker.positions(first, second) == [1, 2]
    await request_factory.request(days=1)  # goes before both
    assert await asker.positions(first, second) == [1, 2]
    assert await Asker(database).positions(second) == [2]  # of another replica
    target = paused_dataset(load_catalogue(None), "D002")
    assert (await pause(owner_database, target, ORDER)).done
    assert await asker.positions(first, second) == [1, 2]
    assert (await resume(owner_database, target, ORDER)).done
    entries = await claim_entries(
        database, max_in_flight_per_partner=LIMIT + 2, limit=2, claim_for=timedelta(minutes=1)
    )
    assert first in {entry.request.request_id for entry in entries}
    assert await asker.positions(first, second) == [1, 1]
    await give_back(database, entries)
    assert await asker.positions(first, second) == [1, 1]


async def test_a_request_that_was_just_filed_has_its_place_at_once(
    asker: Asker, request_factory: RequestFactory
) -> None:
    for _ in range(LIMIT):
        await request_factory.request(waiting=False)
    first = await request_factory.request()
    await asker.ask(first)
    new = await request_factory.request(days=3)
    (found,) = await asker.ask(new, later=False)
    assert found is not None
    assert found.position == 2


async def test_a_pause_is_told_without_the_words_of_operators(
    status: Status, owner_database: Database, request_factory: RequestFactory, caller: int
) -> None:
    request_id = await request_factory.request(user_id=caller)
    assert (await pause(owner_database, paused_dataset(load_catalogue(None), "D002"), ORDER)).done
    found = await status.result(request_id, caller)
    assert (found["phase"], found["position"]) == ("waiting", 1)
    assert found["because"].startswith("the operators have paused this dataset")
    assert SECRET not in str(found)
    assert "eta" not in found


async def test_a_parked_request_says_that_operators_must_mend_it(
    asker: Asker, database: Database, request_factory: RequestFactory
) -> None:
    waits, released = await request_factory.request(), await request_factory.request(waiting=False)
    async with database.transaction() as connection:
        for request_id in (waits, released):
            await park_request(connection, request_id, SECRET)
    found = await asker.ask(waits, released)
    assert [outlook and outlook.phase for outlook in found] == ["waiting", "building"]
    assert all(outlook and outlook.because.startswith("nobody can work on it") for outlook in found)


async def test_days_are_told_until_they_are_joined(
    status: Status, states: RequestStates, request_id: UUID, caller: int
) -> None:
    phases = []
    for number in range(DAYS):
        day = FinishedDay(
            day=LONG_AGO + timedelta(days=number), state="ok", events=1, bytes=9, unreadable=0, reused=False
        )
        await states.apply(claim(Progress(requestid=request_id, attempt=1, daystotal=DAYS, day=day)))
        found = await status.result(request_id, caller)
        assert_range(found["eta"])
        phases.append((found["phase"], found["because"]))
    assert phases == [
        ("building", "1 of its 3 days is finished"),
        ("building", "2 of its 3 days are finished"),
        ("joining", "all of its days are finished, and are being joined into one download"),
    ]


async def test_each_step_of_an_attempt_is_written_down(
    states: RequestStates, database: Database, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS)
    written = []

    async def look() -> None:
        row = await database.fetch_one(
            "SELECT released_at, planned_at, first_day_at, last_day_at FROM requests WHERE request_id = $1", request_id
        )
        assert row is not None
        written.append([name for name, at in row.items() if at is not None])

    await look()
    await release(database, Topic())
    await look()
    await states.apply(claim(Progress(requestid=request_id, attempt=1, daystotal=DAYS)))
    await look()
    for number in range(DAYS):
        day = FinishedDay(
            day=LONG_AGO + timedelta(days=number), state="ok", events=1, bytes=9, unreadable=0, reused=False
        )
        await states.apply(claim(Progress(requestid=request_id, attempt=1, daystotal=DAYS, day=day)))
        await look()
    async with database.transaction() as connection:
        await connection.execute("UPDATE requests SET moved_at = now() - interval '2 hours'")
    assert (await states.reap(no_progress_after=timedelta(hours=1), max_attempts=3)).again == 1
    await look()
    every = ["released_at", "planned_at", "first_day_at", "last_day_at"]
    assert written == [[], every[:1], every[:2], every[:3], every[:3], every, []]


def assert_range(eta: dict[str, Any]) -> None:
    assert datetime.fromisoformat(eta["earliest"]) < datetime.fromisoformat(eta["latest"])


async def test_a_request_that_the_reaper_started_again_says_so(
    status: Status, states: RequestStates, database: Database, request_id: UUID, caller: int
) -> None:
    async with database.transaction() as connection:
        await connection.execute("UPDATE requests SET moved_at = now() - interval '2 hours'")
    before = await status.result(request_id, caller)
    assert "the last sign of progress was 2 h ago, and after 60 min without one it is tried again" in before["because"]
    assert (await states.reap(no_progress_after=timedelta(hours=1), max_attempts=3)).again == 1
    found = await status.result(request_id, caller)
    assert (found["phase"], found["position"]) == ("waiting", 1)
    assert found["because"].endswith("; this is attempt 2, because the one before did not succeed")


async def test_a_list_tells_the_same(status: Status, request_factory: RequestFactory, caller: int) -> None:
    for _ in range(4):
        await request_factory.request(user_id=caller, waiting=False)
    waits = await request_factory.request(user_id=caller)
    page = (await listed(status, caller)).body["result"]["requests"]
    of_list = {entry["requestid"]: entry["tracker"] for entry in page}
    assert of_list[str(waits)] == await status.result(waits, caller)
    assert of_list[str(waits)]["because"].startswith("4 of your requests are at work")
    assert {tracker["phase"] for tracker in of_list.values()} == {"waiting", "building"}


async def test_nothing_is_looked_up_where_nothing_is_in_progress(
    database: Database, runtime_dsn: SecretStr, request_factory: RequestFactory
) -> None:
    done = await request_factory.request(waiting=False)
    await ends(database, done)
    views = list((await find_requests(database, [done])).values())
    async with open_database(runtime_dsn, pool_size=1) as closed:
        pass
    assert await Asker(closed).outlooks.find(views) == {}


async def test_the_pace_of_complete_requests_gives_a_forecast(
    asker: Asker, database: Database, request_factory: RequestFactory
) -> None:
    waits = await request_factory.request()
    (before,) = await asker.ask(waits)
    assert before is not None
    assert before.eta is None
    done = await request_factory.request(partner=f"{PARTNER}.other")
    await release(database, Topic())
    async with database.transaction() as connection:
        await connection.execute("UPDATE requests SET released_at = now() - interval '8 s' WHERE request_id = $1", done)
    await ends(database, done)
    asker.now += 60
    (after,) = await asker.ask(waits)
    assert after is not None
    assert after.eta is not None
    assert_range(dict(after.eta))
