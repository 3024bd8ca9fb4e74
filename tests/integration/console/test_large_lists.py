"""With 10,000 open requests among others and 100,000 dead letters, pages find what they show by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exhaust.domain.catalogue import load_catalogue
from services.console.stories.days import RawObjects
from services.console.stories.pages import Stories
from services.console.stories.requests import PAGE
from tests.integration.console.conftest import MAX_IN_FLIGHT, Tables, call, open_pages
from tests.support.console_app import ASHA, BROWSER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings

OPEN, ENDED, LETTERS, ACTS = 10_000, 60_000, 100_000, 100_000
LARGE = frozenset({"requests", "request_days", "dead_letters", "audit"})
USER = "INSERT INTO data_exhaust_users (client_name, license_key_name) VALUES ('c', 'k') RETURNING id"
REQUESTS = """
INSERT INTO requests (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags,
    created_at, state, attempt, days_total, moved_at, ended_at, outcome, partner_resource)
SELECT md5(n::text)::uuid, u.id, 'partner-' || n % 50, 'u', 'eks-consumption-raw', 'r' || n % 50, d.day, d.day + n % 3,
    ARRAY[n::text], d.at, (CASE
        WHEN n <= $1 AND n % 2 = 0 THEN 'submitted'
        WHEN n <= $1 THEN 'inprogress'
        WHEN n % 20 = 0 THEN 'failed'
        WHEN n % 20 = 1 THEN 'cancelled'
        ELSE 'complete' END)::request_state,
    1, 1 + n % 3, d.at, CASE WHEN n > $1 THEN d.at END,
    CASE WHEN n > $1 AND n % 20 = 0
        THEN jsonb_build_object('code', 'C' || n % 7, 'object', 'o' || n % 100, 'day', d.day::text) END,
    md5('partner-' || n % 50)
FROM data_exhaust_users u, generate_series(1, $1::integer + $2::integer) n,
    LATERAL (SELECT DATE '2026-11-01' - n / 1000 AS day, TIMESTAMPTZ '2026-11-02' - n * interval '1 minute' AS at) d
"""
OUTBOX = "INSERT INTO outbox (request_id, attempt) SELECT request_id, 1 FROM requests WHERE state = 'submitted'"
FINISHED = "INSERT INTO request_days SELECT request_id, 1, from_date, 1, 1 FROM requests WHERE state <> 'submitted'"
DEAD_LETTERS = """
INSERT INTO dead_letters (kafka_partition, kafka_offset, written_at, topic, record_partition, record_offset,
    consumer_group, code, pointer, error, source, request_id, object, size, digest, truncated, replays, state)
SELECT n % 12, n, TIMESTAMPTZ '2026-11-02' + n * interval '1 second', 'dataset.completions', 1, n, 'status',
    CASE WHEN n % 10 = 0 THEN 'SCHEMA' ELSE 'UNKNOWN_REQUEST' END, '/x', repeat('why ', 40), '/source/' || n % 20,
    md5(n::text)::uuid, '', 100, sha256(n::text::bytea), '', 0, CASE WHEN n % 4 = 0 THEN 'redriven' ELSE 'waiting' END
FROM generate_series(1, $1::integer) n
"""
AUDIT = """
INSERT INTO audit (actor, action, subject, detail)
SELECT CASE WHEN n % 5000 = 0 THEN 'service/asha' ELSE 'user/' || n % 300 END,
    CASE WHEN n % 9000 = 0 THEN 'erase' WHEN n % 2 = 0 THEN 'submit' ELSE 'download' END,
    'request/' || md5((n % 70000)::text)::uuid, '{"attempt": 1}'
FROM generate_series(1, $1::integer) n
"""
OLDEST_OPEN = """
SELECT request_id::text AS id FROM requests WHERE state IN ('submitted', 'inprogress')
ORDER BY created_at, request_id LIMIT $1
"""
NEWEST_OPEN = """
SELECT request_id::text AS id FROM requests WHERE state IN ('submitted', 'inprogress')
ORDER BY created_at DESC, request_id DESC LIMIT $1
"""
UNSEEN = ("Not seen:", '"unseen":["')  # in HTML, and in JSON
PATHS = (
    "/requests",
    "/requests?state=open&order=oldest",
    "/requests?state=failed&code=C3",
    "/requests/{request}",
    "/dead-letters",
    "/dead-letters/records",
    "/dead-letters/records?code=UNKNOWN_REQUEST&source=/source/3&topic=dataset.completions&exact=true",
    "/days?fromdate=2026-10-26&todate=2026-11-01",
    "/days?fromdate=2026-10-02&todate=2026-11-01",
    "/audit",
    "/audit?actor=service/asha",
)
OF_STATE = "SELECT request_id::text AS id FROM requests WHERE state = $1 LIMIT 1"


@pytest.fixture(scope="module")
async def large(console_tables: Tables) -> AsyncIterator[Tables]:
    async with console_tables.owner.transaction() as connection:
        await connection.execute(USER)
        await connection.execute(REQUESTS, OPEN, ENDED)
        await connection.execute(OUTBOX)
        await connection.execute(FINISHED)
        await connection.execute(DEAD_LETTERS, LETTERS)
        await connection.execute(AUDIT, ACTS)
    for table in ("requests", "outbox", "request_days", "dead_letters", "audit"):
        await console_tables.owner.fetch("VACUUM ANALYZE " + table)  # as PostgreSQL does by itself after a while
    yield console_tables
    await console_tables.do(
        "TRUNCATE request_days, outbox, dead_letters, audit, requests, data_exhaust_users RESTART IDENTITY CASCADE"
    )


Document = dict[str, Any]


async def looked_at(
    tables: Tables, read: Callable[[Any], Awaitable[Document]], asked: Any, large: frozenset[str] = LARGE
) -> Document:
    """The document, which no query read a large table for from end to end."""
    tables.console.plans.clear()
    document = await read(asked)
    assert [why for why in document["unseen"] if "raw objects" not in why] == []
    assert large & tables.console.read_whole() == set(), "\n\n".join(tables.console.plans)
    return document


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, PAGE),
        ({"state": "open"}, PAGE),
        ({"state": "open", "order": "oldest"}, PAGE),
        ({"state": "submitted", "order": "oldest", "olderthan": "12h"}, PAGE),
        ({"state": "failed", "order": "oldest"}, PAGE),
        ({"state": "failed", "code": "C3", "object": "o60"}, 60),
        ({"state": "cancelled"}, PAGE),
        ({"state": "parked"}, 0),
        ({"state": "open", "dataset": "eks-consumption-raw"}, PAGE),
        ({"olderthan": "7d"}, PAGE),
    ],
)
async def test_requests_are_found_by_an_index(large: Tables, asked: dict[str, str], shown: int) -> None:
    document = await looked_at(large, large.stories.requests, call(**asked))
    assert abs(len(document["requests"]) - shown) <= 40
    assert document["counts"]["open"] == OPEN
    assert document["counts"]["complete"] == document["countedto"]


async def test_pages_follow_one_another_without_gap_or_repetition(large: Tables) -> None:
    for order in ("newest", "oldest"):
        seen: list[str] = []
        cursor = ""
        for _ in range(4):
            document = await looked_at(large, large.stories.requests, call(state="open", order=order, next=cursor))
            seen += [row["request"] for row in document["requests"]]
            cursor = document["next"]
        rows = await large.owner.fetch(NEWEST_OPEN if order == "newest" else OLDEST_OPEN, 4 * PAGE)
        assert seen == [row["id"] for row in rows]


@pytest.mark.parametrize("state", ["submitted", "inprogress", "failed"])
async def test_a_request_is_found_by_an_index(large: Tables, state: str) -> None:
    rows = await large.owner.fetch(OF_STATE, state)
    document = await looked_at(large, large.stories.request, call(rows[0]["id"]))
    assert document["requestid"] == rows[0]["id"]
    if state == "submitted":
        assert document["sentence"].startswith("waits in the outbox")


@pytest.mark.parametrize("asked", [{}, {"code": "SCHEMA"}, {"topic": "dataset.completions", "state": "redriven"}])
async def test_causes_of_dead_letters_are_counted_by_an_index(large: Tables, asked: dict[str, str]) -> None:
    document = await looked_at(large, large.stories.causes, call(**asked))
    if not asked:
        assert sum(cause["letters"] for cause in document["causes"]) == LETTERS
        assert sum(cause["waiting"] for cause in document["causes"]) == LETTERS * 3 // 4


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"code": "UNKNOWN_REQUEST"},
        {"code": "UNKNOWN_REQUEST", "source": "/source/3", "topic": "dataset.completions", "exact": "true"},
        {"state": "waiting"},
    ],
)
async def test_dead_letters_are_found_by_an_index_page_by_page(large: Tables, asked: dict[str, str]) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        document = await looked_at(large, large.stories.letters, call(**asked, next=cursor))
        seen += [row["letter"] for row in document["letters"]]
        cursor = document["next"]
    assert len(set(seen)) == 3 * PAGE
    assert seen == sorted(seen, key=lambda letter: int(letter.partition("/")[2]), reverse=True)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"actor": "service/asha"},
        {"action": "erase"},
        {"subject": "request/c4ca4238-a0b9-2382-0dcc-509a6f75849b"},
        {"since": "1h"},
        {"until": "1h"},
        {"since": "2026-11-01", "actor": "user/8", "action": "submit"},
    ],
)
async def test_the_audit_is_found_by_an_index(large: Tables, asked: dict[str, str]) -> None:
    document = await looked_at(large, large.stories.audit, call(**asked))
    assert bool(document["entries"]) is ("until" not in asked)


async def test_days_are_found_by_an_index(large: Tables) -> None:
    document = await looked_at(
        large, large.stories.days, call(fromdate="2026-10-26", todate="2026-11-01"), frozenset({"requests"})
    )
    assert document["days"]


@pytest.mark.parametrize("path", PATHS)
async def test_whole_pages_show_all_that_they_read(
    large: Tables, objects: ObjectStore, s3_settings: S3RawBucketSettings, path: str
) -> None:
    """As an operator sees them, whose pages are the longest. What took too long would be among the unseen."""
    [row] = await large.owner.fetch(OF_STATE, "submitted")
    raw = RawObjects(objects, s3_settings.s3_raw_bucket)
    stories = Stories(large.console, raw, load_catalogue(None), MAX_IN_FLIGHT)
    async with open_pages(stories) as client:
        for kind in ({"Accept": "application/json"}, BROWSER):
            async with client.get(path.format(request=row["id"]), headers=ASHA | kind) as answer:
                text = await answer.text()
            assert answer.status == 200, text
            assert [sign for sign in UNSEEN if sign in text] == []
