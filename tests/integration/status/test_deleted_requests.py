"""Deleted requests: what comes late brings none back, and nobody finds one, whatever way is taken to it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from exhaust.domain.requests import Submitter
from exhaust.domain.state_machine import State
from exhaust.postgres.day_overview import find_built_days
from exhaust.postgres.idempotency_keys import IdempotencyKey, KeyedRequest, take_key
from exhaust.postgres.request_commands import delete_request
from exhaust.postgres.request_lists import (
    RequestFilter,
    Standing,
    count_failure_causes,
    count_requests,
    list_requests,
)
from exhaust.postgres.requests import find_asked, find_identical_request, find_recent_outcome, find_request_state
from services.gateway.idempotency import create_once
from tests.integration.conftest import PARTNER
from tests.integration.status.conftest import DAYS
from tests.support.completions import claim

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from services.status.request_states import RequestStates
    from tests.integration.conftest import RequestFactory
    from tests.integration.status.conftest import FinishedDownloads

WEBHOOK = """
INSERT INTO webhooks (webhook_id, user_id, url, events, secret)
SELECT gen_random_uuid(), $1, 'https://example.org/', '{request.complete}', ''
"""


async def test_a_download_that_comes_late_neither_completes_a_deleted_request_nor_is_told(
    failed: UUID,
    holder: int,
    states: RequestStates,
    downloads: FinishedDownloads,
    database: Database,
    owner_database: Database,
) -> None:
    await owner_database.fetch(WEBHOOK, holder)
    late = claim(await downloads.write(failed))
    await delete_request(database, failed, actor="user/1")
    await states.apply(late)
    assert (await states.standing(failed)).state is State.FAILED
    assert await owner_database.fetch("SELECT FROM webhook_deliveries") == []


async def test_a_deleted_request_is_in_no_list_and_no_count_of_operators(failed: UUID, database: Database) -> None:
    async def shown() -> tuple[int, int, int, int]:
        counts = await count_requests(database)
        causes = await count_failure_causes(database, limit=5)
        asked = await find_asked(database, failed)
        days = await find_built_days(database, asked.days) if asked else {}
        listed = await list_requests(database, RequestFilter(standing=Standing.FAILED))
        failures = sum(day.failed for day in days.values())
        return len(listed), counts[Standing.FAILED], sum(cause.requests for cause in causes), failures

    assert await shown() == (1, 1, 1, 1)
    await delete_request(database, failed, actor="user/1")
    assert await shown() == (0, 0, 0, 0)


async def test_neither_a_submit_nor_a_page_finds_a_deleted_request(
    request_factory: RequestFactory,
    holder: int,
    states: RequestStates,
    downloads: FinishedDownloads,
    database: Database,
    owner_database: Database,
) -> None:
    request_id = await request_factory.request(user_id=holder, days=DAYS, waiting=False)
    await states.apply(claim(await downloads.write(request_id)))
    await owner_database.fetch("UPDATE requests SET tags = '{}'")
    asked = (await states.standing(request_id)).asked
    submitter = Submitter(holder, PARTNER, "somebody", synchronous=False)

    async def found() -> list[bool]:
        return [
            await find_identical_request(database, asked, submitter) is not None,
            await find_recent_outcome(database, asked, max_age=timedelta(days=1)) is not None,
            await find_request_state(database, request_id) is not None,
            await find_asked(database, request_id) is not None,
        ]

    assert await found() == [True] * 4
    await delete_request(database, request_id, actor="user/1")
    assert await found() == [False] * 4


async def test_an_idempotency_key_that_a_deletion_did_not_see_stands_for_nothing(
    failed: UUID, holder: int, database: Database
) -> None:
    key, wanted = IdempotencyKey(holder, "one-intent"), uuid4()
    await delete_request(database, failed, actor="user/1")
    async with database.transaction() as connection:
        assert await take_key(connection, key, KeyedRequest(failed, b"asked"))

    async def create() -> UUID:
        return wanted

    async with database.transaction() as connection:
        assert await create_once(connection, key, b"asked", wanted, create) == wanted
