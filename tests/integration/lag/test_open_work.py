"""The work that waits, as the tables know it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from exhaust.postgres.lag import OpenWork, StageWork, find_open_work
from tests.integration.conftest import LONG_AGO

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Database
    from tests.integration.conftest import RequestFactory

LIMIT_S = 0.05
PATIENCE_S = 30  # until the machine has 50 ms for us alone


async def look(database: Database, limit: int = 4, elsewhere: tuple[str, ...] = ()) -> OpenWork:
    return await find_open_work(database, max_in_flight_per_partner=limit, built_elsewhere=elsewhere)


async def move(owner: Database, request_id: UUID, state: str, attempt: int = 1) -> None:
    await owner.fetch(
        "UPDATE requests SET state = $2::text::request_state, attempt = $3 WHERE request_id = $1",
        request_id,
        state,
        attempt,
    )


async def finish(database: Database, request_id: UUID, *days: int, attempt: int = 1) -> None:
    for number in days:
        await database.fetch(
            "INSERT INTO request_days (request_id, attempt, day, events, bytes) VALUES ($1, $2, $3, 1, 1)",
            request_id,
            attempt,
            LONG_AGO + timedelta(days=number),
        )


async def test_without_requests_there_is_no_work(database: Database) -> None:
    nothing = StageWork()
    assert await look(database) == OpenWork(
        nothing, 0, 0, nothing, nothing, {"submitted": 0, "inprogress": 0, "parked": 0}
    )


async def test_a_request_stands_in_one_stage_at_a_time(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await request_factory.request(partner="a", days=3)
    await request_factory.request(partner="b", days=2, waiting=False)
    begun = await request_factory.request(partner="b", days=10, waiting=False)
    await move(owner_database, begun, "inprogress")
    await finish(database, begun, 0, 1, 2)
    found = await look(database)
    stages = (found.outbox, found.plan, found.build)
    assert [(stage.requests, stage.partners, stage.days) for stage in stages] == [(1, 1, 3), (1, 1, 2), (1, 1, 7)]
    assert all(stage.oldest is not None and before < stage.oldest <= datetime.now(UTC) for stage in stages)
    assert found.requests == {"submitted": 2, "inprogress": 1, "parked": 0}


async def test_only_the_days_of_the_present_attempt_are_done(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    begun = await request_factory.request(days=5, waiting=False)
    await finish(database, begun, 0, 1, 2, attempt=1)
    await finish(database, begun, 0, attempt=2)
    await move(owner_database, begun, "inprogress", attempt=2)
    assert (await look(database)).build.days == 4


async def test_what_has_ended_is_no_work(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    for state in ("complete", "failed", "cancelled"):
        ended = await request_factory.request(waiting=False)
        await move(owner_database, ended, state)
    assert (await look(database)).requests == {"submitted": 0, "inprogress": 0, "parked": 0}


async def test_requests_beyond_their_partners_limit_are_held(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    for _ in range(3):
        await request_factory.request(partner="many", waiting=False)
    for _ in range(5):
        await request_factory.request(partner="many")
    for _ in range(2):
        await request_factory.request(partner="few")
    assert (await look(database, limit=4)).held == 4  # one of five may go
    assert (await look(database, limit=1)).held == 6
    assert (await look(database, limit=100)).held == 0
    await owner_database.fetch("UPDATE outbox SET claimed_until = now() + interval '1 minute'")
    assert (await look(database, limit=1)).held == 0  # claimed ones are on their way


async def test_paused_requests_wait_for_an_operator_and_count_as_nobodys_delay(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    for partner in ("held", "held", "paused", "paused", "paused"):
        await request_factory.request(partner=partner)
    await owner_database.fetch(
        "INSERT INTO pauses (kind, name, shown, reason, actor) SELECT DISTINCT 'partner', partner_resource, 'p', 'r',"
        " 'a' FROM requests WHERE partner_id = 'paused'"
    )
    found = await look(database, limit=1)
    assert (found.outbox.requests, found.held, found.paused) == (5, 1, 3)
    await owner_database.fetch(
        "INSERT INTO pauses (kind, name, shown, reason, actor) VALUES ('dataset', 'eks-consumption-raw', 'd', 'r', 'a')"
    )
    found = await look(database, limit=1)
    assert (found.outbox.requests, found.held, found.paused, found.outbox.oldest) == (5, 0, 5, None)


async def test_parked_requests_are_nobodys_work(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    parked = await request_factory.request(days=3, waiting=False)
    await owner_database.fetch(
        "UPDATE requests SET parked_at = now(), parked_reason = 'a bad row' WHERE request_id = $1", parked
    )
    found = await look(database)
    assert found.plan == StageWork()
    assert found.requests == {"submitted": 0, "inprogress": 0, "parked": 1}


async def test_days_that_others_build_are_not_ours(database: Database, request_factory: RequestFactory) -> None:
    await request_factory.request(days=3, waiting=False)
    assert (await look(database, elsewhere=("eks-consumption-raw",))).plan == StageWork()
    assert (await look(database)).plan.days == 3


async def test_ten_thousand_open_requests_are_counted_in_time(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    user = await request_factory.user()
    await owner_database.fetch(
        "INSERT INTO requests (request_id, user_id, partner_id, resource, from_date, to_date, username, dataset_id,"
        " tags, partner_resource, state) SELECT gen_random_uuid(), $1, 'p' || n % 50, 'r', $2::date, $2::date + 9, 'u',"
        " 'eks-consumption-raw', ARRAY[n::text], 'p' || n % 50,"
        " CASE WHEN n % 10 = 0 THEN 'inprogress' ELSE 'submitted' END::request_state FROM generate_series(1, 10000) n",
        user,
        LONG_AGO,
    )
    await owner_database.fetch(
        "INSERT INTO outbox (request_id, attempt) SELECT request_id, 1 FROM requests WHERE state = 'submitted'"
    )
    await owner_database.fetch(
        "INSERT INTO request_days (request_id, attempt, day, events, bytes) SELECT request_id, 1, $1::date + n, 1, 1"
        " FROM requests, generate_series(0, 4) n WHERE state = 'inprogress'",
        LONG_AGO,
    )
    await owner_database.fetch("ANALYZE requests, outbox, request_days")
    took: list[float] = []
    began = time.monotonic()
    while len(took) < 9 or (min(took) >= LIMIT_S and time.monotonic() - began < PATIENCE_S):
        started = time.perf_counter()
        found = await look(database)
        took.append(time.perf_counter() - started)
    print(f"\n10,000 open requests: {min(took) * 1000:.1f} ms at best, {median(took) * 1000:.1f} ms in the middle")
    assert (found.outbox.requests, found.build.days) == (9000, 5000)
    assert min(took) < LIMIT_S
