"""Lists stay quick with ten thousand open requests and a hundred thousand dead letters."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.days import DayRange
from exhaust.domain.dead_letters import LetterFilter
from exhaust.postgres.day_overview import find_built_days
from exhaust.postgres.dead_letters import count_letter_causes, list_letters
from exhaust.postgres.request_lists import RequestFilter, Standing, count_failure_causes, list_requests
from exhaust.postgres.request_story import find_request_story
from tests.integration.conftest import LONG_AGO, RESOURCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exhaust.postgres.database import Database
    from tests.integration.operations.conftest import Operator

MOST_S = 0.5
OPEN, LETTERS = 10_000, 100_000
LETTERS_A_STATEMENT = 10_000
A_PARTNER = hashlib.md5(b"7", usedforsecurity=False).hexdigest()
_REQUESTS = """
WITH made AS (
    INSERT INTO requests (request_id, user_id, partner_id, resource, from_date, to_date, days_total, username,
                          dataset_id, tags, partner_resource)
    SELECT gen_random_uuid(), $1, 'partner ' || n % 50, $2, $3::date, $3::date + 6, 7, 'somebody',
           'eks-consumption-raw', ARRAY[n::text], md5((n % 50)::text) FROM generate_series(1, $4::integer) n
    RETURNING request_id
)
INSERT INTO outbox (request_id, attempt) SELECT request_id, 1 FROM made
"""
_LETTERS = """
INSERT INTO dead_letters (kafka_partition, kafka_offset, written_at, topic, record_partition, record_offset,
    consumer_group, code, pointer, error, source, size, digest, truncated, replays)
SELECT n % 3, n, now() - n * interval '1 s', 'dataset.completions', 0, n, 'status', 'CODE' || n % 7, '', 'x',
       '/source/' || n % 11, 10, sha256(n::text::bytea), '', 0 FROM generate_series($1::integer, $2::integer) n
"""


async def best_of_three(look: Callable[[], Awaitable[object]]) -> float:
    took = []
    for _ in range(3):
        began = time.monotonic()
        assert await look()
        took.append(time.monotonic() - began)
    return min(took)


@pytest.fixture
async def crowded(operator: Operator) -> Database:
    user_id = await operator.requests.user()
    async with operator.owner.transaction() as connection:
        await connection.execute(_REQUESTS, user_id, RESOURCE, LONG_AGO, OPEN)
        for first in range(1, LETTERS + 1, LETTERS_A_STATEMENT):
            await connection.execute(_LETTERS, first, first + LETTERS_A_STATEMENT - 1)
        await connection.execute("ANALYZE requests; ANALYZE outbox; ANALYZE dead_letters")
    return operator.owner


async def test_lists_and_explanations_take_less_than_half_a_second(crowded: Database, operator: Operator) -> None:
    [*_, last] = await list_requests(crowded, RequestFilter(Standing.OPEN, limit=1000))
    await operator.failed(count=100)
    looks: dict[str, Callable[[], Awaitable[object]]] = {
        "open requests": lambda: list_requests(crowded, RequestFilter(Standing.OPEN)),
        "requests of a partner": lambda: list_requests(crowded, RequestFilter(partner=A_PARTNER)),
        "all requests": lambda: list_requests(crowded, RequestFilter()),
        "causes of failures": lambda: count_failure_causes(crowded, limit=100),
        "explanation": lambda: find_request_story(crowded, last.request_id),
        "days": lambda: find_built_days(crowded, DayRange(LONG_AGO, LONG_AGO)),
        "causes of letters": lambda: count_letter_causes(crowded, LetterFilter(), limit=100),
        "letters": lambda: list_letters(crowded, LetterFilter(), limit=100),
        "letters of a cause": lambda: list_letters(crowded, LetterFilter(code="CODE3", source="/source/5"), limit=100),
    }
    took = {name: await best_of_three(look) for name, look in looks.items()}
    print("\n" + "\n".join(f"{name}: {seconds * 1000:.0f} ms" for name, seconds in took.items()))
    assert {name: seconds for name, seconds in took.items() if seconds >= MOST_S} == {}
