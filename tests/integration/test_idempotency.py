"""One Idempotency-Key, one request; and no more open requests of a partner than are allowed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest, Submitter
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import Connection, Database
from exhaust.postgres.idempotency_keys import IdempotencyKey, sweep_expired_keys
from exhaust.postgres.requests import Limits
from services.gateway.idempotency import HEADER, SWEEP_LIMIT, create_once, fingerprint_of, key_from
from services.gateway.request_service import RequestService
from tests.integration.conftest import PARTNER, RESOURCE, RequestFactory

DAYS = DayRange(date(2026, 1, 1), date(2026, 1, 3))
ASKED = DatasetRequest(uuid4(), "eks-consumption-raw", RESOURCE, DAYS, ("a", "b"))
LIMITS = Limits(open_requests=1000, days_built=1000, bytes_built=1000)
PRINT, OTHER_PRINT = bytes(32), bytes(range(32))
INSERT = """
INSERT INTO requests (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags)
VALUES ($1, $2, 'p', 'u', 'd', 'r', '2026-01-01', '2026-01-01', ARRAY[$1::uuid::text])
"""


@dataclass(frozen=True)
class Intent:
    user_id: int
    key: str
    fingerprint: bytes


@pytest.fixture
async def user_id(request_factory: RequestFactory) -> int:
    return await request_factory.user()


async def submit(database: Database, intent: Intent | None, user_id: int) -> UUID:
    """Files a new request in a transaction, as the gateway does."""
    request_id = uuid4()

    async def file(connection: Connection) -> UUID:
        await connection.execute(INSERT, request_id, user_id)
        return request_id

    if intent is None:
        service = RequestService(database, LIMITS, lambda: None)
        asked = replace(ASKED, request_id=request_id, tags=(str(request_id),))
        return await service.create(asked, Submitter(user_id, "p", "u"), "")
    async with database.transaction() as connection:
        return await once(connection, intent, request_id, lambda: file(connection))


async def once(connection: Connection, intent: Intent, request_id: UUID, create: Callable[[], Awaitable[UUID]]) -> UUID:
    key = IdempotencyKey(intent.user_id, intent.key)
    return await create_once(connection, key, intent.fingerprint, request_id, create)


async def filed(database: Database) -> list[UUID]:
    return [row["request_id"] for row in await database.fetch("SELECT request_id FROM requests ORDER BY created_at")]


async def kept(database: Database) -> set[str]:
    return {row["key"] for row in await database.fetch("SELECT key FROM idempotency_keys")}


async def grow_old(owner: Database, hours: float) -> None:
    async with owner.transaction() as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET created_at = now() - make_interval(secs => $1)", hours * 3600
        )


async def test_a_key_stands_for_its_first_request(database: Database, user_id: int) -> None:
    intent = Intent(user_id, "key", PRINT)
    first = await submit(database, intent, user_id)
    assert {await submit(database, intent, user_id) for _ in range(3)} == {first}
    assert await filed(database) == [first]


async def test_submits_without_a_key_or_with_different_keys_create_different_requests(
    database: Database, request_factory: RequestFactory, user_id: int
) -> None:
    somebody = await request_factory.user()
    intents = [None, None, Intent(user_id, "a", PRINT), Intent(user_id, "A", PRINT), Intent(somebody, "a", PRINT)]
    ids = [await submit(database, intent, user_id) for intent in intents]
    assert sorted(await filed(database)) == sorted(set(ids))
    assert len(ids) == len(set(ids))


async def test_a_key_that_was_used_for_something_else_is_refused(database: Database, user_id: int) -> None:
    first = await submit(database, Intent(user_id, "key", PRINT), user_id)
    with pytest.raises(ExhaustError) as refused:
        await submit(database, Intent(user_id, "key", OTHER_PRINT), user_id)
    assert (refused.value.status, refused.value.code) == (422, ErrorCode.INVALID_DATA_ERROR)
    assert await filed(database) == [first]


async def test_fifty_submits_at_once_with_one_key_are_one_request(database: Database, user_id: int) -> None:
    intent = Intent(user_id, "key", PRINT)
    ids = await asyncio.gather(*(submit(database, intent, user_id) for _ in range(50)))
    assert await filed(database) == [ids[0]]
    assert set(ids) == {ids[0]}


async def test_different_submits_at_once_with_one_key_create_one_request(database: Database, user_id: int) -> None:
    intents = [Intent(user_id, "key", PRINT if number % 2 else OTHER_PRINT) for number in range(20)]
    outcomes = await asyncio.gather(*(submit(database, intent, user_id) for intent in intents), return_exceptions=True)
    (won,) = await filed(database)
    refused = [outcome for outcome in outcomes if isinstance(outcome, ExhaustError)]
    assert [error.status for error in refused] == [422] * 10
    assert [outcome for outcome in outcomes if outcome == won] == [won] * 10


async def test_a_submit_that_fails_leaves_its_key_free(database: Database, user_id: int) -> None:
    intent = Intent(user_id, "key", PRINT)

    async def fail() -> UUID:
        raise ExhaustError(ErrorCode.RATE_LIMITED, "too many")

    async def submit_in_vain() -> None:
        async with database.transaction() as connection:
            await once(connection, intent, uuid4(), fail)

    with pytest.raises(ExhaustError):
        await submit_in_vain()
    assert await kept(database) == set()
    request_id = await submit(database, intent, user_id)
    assert await filed(database) == [request_id]


async def test_a_key_stands_for_the_identical_request_that_was_open(
    database: Database, request_factory: RequestFactory, user_id: int
) -> None:
    identical = await request_factory.request(user_id=user_id)
    intent = Intent(user_id, "key", PRINT)

    async def find() -> UUID:
        return identical

    async with database.transaction() as connection:
        assert await once(connection, intent, uuid4(), find) == identical
    assert await submit(database, intent, user_id) == identical


async def test_a_key_is_forgotten_after_a_day(database: Database, owner_database: Database, user_id: int) -> None:
    intent = Intent(user_id, "key", PRINT)
    first = await submit(database, intent, user_id)
    await grow_old(owner_database, 23.9)
    assert await submit(database, intent, user_id) == first
    await grow_old(owner_database, 24.1)
    again = await asyncio.gather(*(submit(database, intent, user_id) for _ in range(10)))
    assert len(set(again)) == 1
    assert again[0] != first


async def test_expired_keys_are_swept(database: Database, owner_database: Database, user_id: int) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id)"
            " SELECT $1, n::text, $2, gen_random_uuid() FROM generate_series(1, $3) n",
            *(user_id, PRINT, SWEEP_LIMIT + 5),
        )
    await grow_old(owner_database, 25)
    await submit(database, Intent(user_id, "new", PRINT), user_id)
    assert len(await kept(database)) == 6
    await submit(database, Intent(user_id, "newer", PRINT), user_id)
    assert await kept(database) == {"new", "newer"}


async def test_a_sweep_keeps_to_its_limit_whatever_the_plan(
    database: Database, owner_database: Database, user_id: int
) -> None:
    """With few choices left the server may run a subselect for each row, and its LIMIT with it."""
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id)"
            " SELECT $1, n::text, $2, gen_random_uuid() FROM generate_series(1, 30) n",
            *(user_id, PRINT),
        )
    await grow_old(owner_database, 25)
    async with owner_database.transaction() as connection:
        for choice in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "indexscan", "bitmapscan"):
            await connection.execute(f"SET LOCAL enable_{choice} = off")
        await sweep_expired_keys(connection, user_id, timedelta(hours=24), limit=5)
        [row] = await connection.fetch("SELECT prune_idempotency_keys(interval '24 hours', 5) AS pruned")
    assert (row["pruned"], len(await kept(database))) == (5, 20)


def test_the_fingerprint_depends_on_everything_that_is_asked() -> None:
    def of(request: DatasetRequest, partner: str = "p", username: str = "u") -> bytes:
        return fingerprint_of(request, partner_id=partner, username=username)

    others = [
        of(replace(ASKED, dataset="D001")),
        of(replace(ASKED, resource="another")),
        of(replace(ASKED, days=DayRange(DAYS.first, DAYS.first))),
        of(replace(ASKED, days=DayRange(DAYS.last, DAYS.last))),
        of(replace(ASKED, tags=("a",))),
        of(replace(ASKED, tags=("a,b",))),
        of(ASKED, partner="another"),
        of(ASKED, username="another"),
        of(ASKED, partner="u", username="p"),
    ]
    assert of(replace(ASKED, request_id=uuid4())) == of(ASKED)
    assert len({of(ASKED), *others}) == len(others) + 1
    assert len(of(ASKED)) == 32


@pytest.mark.parametrize("key", ["a", "!", "~", "x" * 128, "6f1e2b0a-9c1d-4b6f-8a37-000000000000", '"quoted"'])
def test_a_key_is_read_from_the_header(key: str) -> None:
    assert key_from({HEADER: key}) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "é", "a\tb", "\x7f", "a\n"])
def test_an_odd_key_is_refused(key: str) -> None:
    with pytest.raises(ExhaustError, match="Idempotency-Key") as refused:
        key_from({HEADER: key})
    assert (refused.value.code, refused.value.status) == (ErrorCode.INVALID_DATA_ERROR, 400)


def test_the_header_is_optional() -> None:
    assert key_from({}) is None


async def test_a_partner_has_no_more_open_requests_than_allowed(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    holder = await request_factory.user()

    async def submit_one(partner: str, maximum: int, asked: DatasetRequest | None = None) -> UUID:
        service = RequestService(database, replace(LIMITS, open_requests=maximum), lambda: None)
        request_id = uuid4()
        new = replace(ASKED, request_id=request_id, tags=(str(request_id),))
        return await service.create(asked or new, Submitter(holder, partner, "u"), "")

    first, *_ = [await request_factory.request() for _ in range(3)]
    await request_factory.request(partner="another")
    await submit_one("nobody", 1)
    fourth = replace(ASKED, request_id=uuid4(), tags=("fourth",))
    assert await submit_one(PARTNER, 4, fourth) == fourth.request_id
    written = [await database.fetch(f"SELECT FROM {table}") for table in ("requests", "outbox", "audit")]
    with pytest.raises(ExhaustError) as refused:
        await submit_one(PARTNER, 4)
    assert (refused.value.code, refused.value.status) == (ErrorCode.RATE_LIMITED, 429)
    assert refused.value.retryable
    assert [await database.fetch(f"SELECT FROM {table}") for table in ("requests", "outbox", "audit")] == written
    assert await submit_one(PARTNER, 4, replace(fourth, request_id=uuid4())) == fourth.request_id
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = 'complete' WHERE request_id = $1", first)
    await submit_one(PARTNER, 4)


async def test_a_request_that_has_ended_does_not_stand_for_one_over_the_limit(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    service = RequestService(database, replace(LIMITS, open_requests=1), lambda: None)
    submitter = Submitter(await request_factory.user(), "maple", "u")
    await service.create(replace(ASKED, request_id=uuid4()), submitter, "")
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = 'complete'")
    await service.create(replace(ASKED, request_id=uuid4(), tags=("other",)), submitter, "")
    with pytest.raises(ExhaustError, match="1 requests in progress"):
        await service.create(replace(ASKED, request_id=uuid4()), submitter, "")


async def test_accepting_writes_request_outbox_and_audit(database: Database, request_factory: RequestFactory) -> None:
    service = RequestService(database, LIMITS, lambda: None)
    submitter = Submitter(await request_factory.user(), "maple", "asha")
    traceparent = f"00-{32 * 'a'}-{16 * 'b'}-01"
    request_id = await service.create(replace(ASKED, request_id=uuid4()), submitter, traceparent)
    outbox = await database.fetch("SELECT request_id, attempt, traceparent FROM outbox")
    assert [tuple(row) for row in outbox] == [(request_id, 1, traceparent)]
    audit = await database.fetch("SELECT actor, action, subject, detail FROM audit")
    detail = {"partner": "maple", "username": "asha"}
    assert [tuple(row) for row in audit] == [(f"user/{submitter.user_id}", "submit", f"request/{request_id}", detail)]
