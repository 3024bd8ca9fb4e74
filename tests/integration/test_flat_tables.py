"""Thousands of requests come and go: with retention, no table keeps growing."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from admin.prune import prune_audit
from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest, Submitter
from exhaust.domain.state_machine import State, StateVersion
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.idempotency_keys import IdempotencyKey, KeyedRequest, take_key
from exhaust.postgres.inbox import EventIdentity, record_event
from exhaust.postgres.request_progress import lock_request, move_request, record_day
from exhaust.postgres.requests import Limits, accept_request
from exhaust.postgres.retention import Prunable
from services.status.pruner import Pruner
from tests.integration.conftest import RESOURCE
from tests.support.outbox import Topic, release

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from tests.integration.conftest import RequestFactory

ROUNDS, REQUESTS = 10, 200  # 2,000 requests
AT_ONCE = 8
DAY = date(2026, 11, 1)
LIMITS = Limits(10_000, 10**9, 10**15)
WEEK = timedelta(days=7)
# Between two rounds ten days pass, by the clock of the database.
TEN_DAYS_PASS = (
    "UPDATE requests SET ended_at = ended_at - interval '10 days'",
    "UPDATE inbox SET received_at = received_at - interval '10 days'",
    "UPDATE idempotency_keys SET created_at = created_at - interval '10 days'",
    "UPDATE audit SET at = at - interval '10 days'",
)
COUNTS = """
SELECT (SELECT count(*) FROM requests) AS requests, (SELECT count(*) FROM request_days) AS request_days,
       (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM inbox) AS inbox,
       (SELECT count(*) FROM idempotency_keys) AS idempotency_keys, (SELECT count(*) FROM audit) AS audit
"""


async def through(database: Database, user_id: int) -> None:
    """One request from its submit to its end."""
    request = DatasetRequest(uuid4(), "eks-consumption-raw", RESOURCE, DayRange(DAY, DAY), (uuid4().hex,))
    request_id: UUID = request.request_id
    async with database.transaction() as connection:
        await take_key(connection, IdempotencyKey(user_id, str(request_id)), KeyedRequest(request_id, b""))
        await accept_request(connection, request, Submitter(user_id, str(user_id), "somebody"), "", LIMITS)
    async with database.transaction() as connection:
        await record_event(connection, EventIdentity("source", str(request_id), b""))
        await lock_request(connection, request_id)
        await record_day(connection, request_id, 1, DAY, events=1, size=1, built=False)
        await move_request(connection, request_id, StateVersion(1, State.COMPLETE), {"key": "k"})


async def counts(owner: Database) -> dict[str, int]:
    row = await owner.fetch_one(COUNTS)
    assert row is not None
    return dict(row)


@pytest.mark.parametrize("with_retention", [True, False])
async def test_tables_stay_flat(
    database: Database, owner_database: Database, request_factory: RequestFactory, *, with_retention: bool
) -> None:
    user_id = await request_factory.user()
    pruner = Pruner(database, dict.fromkeys(Prunable, WEEK), MetricRegistry())
    rounds = ROUNDS if with_retention else 2

    async def export(_key: str, data: bytes) -> bytes:
        return data

    seen = []
    for _ in range(rounds):
        for _ in range(REQUESTS // AT_ONCE):
            await asyncio.gather(*(through(database, user_id) for _ in range(AT_ONCE)))
        while await release(database, Topic(), limit=10 * REQUESTS):
            pass
        if with_retention:
            await pruner.prune()
            await prune_audit(owner_database, WEEK, export)
        seen.append(await counts(owner_database))
        async with owner_database.transaction() as connection:
            for statement in TEN_DAYS_PASS:
                await connection.execute(statement)
    kept = [1] * rounds if with_retention else range(1, rounds + 1)  # rounds whose rows are there
    assert seen == [{table: 0 if table == "outbox" else REQUESTS * times for table in seen[0]} for times in kept]
