"""Cancelling a request, and trying one again: by callers of the service and by operators alike."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from exhaust.domain.object_keys import cancelled_key
from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.cancel_markers import CancelledAttempt, next_markers
from exhaust.postgres.database import Database
from exhaust.postgres.outbox import OutboxEntry
from exhaust.postgres.parked_requests import list_parked_requests, park_request
from exhaust.postgres.request_commands import cancel_request, retry_request
from exhaust.s3.errors import ObjectMissingError
from exhaust.s3.store import ObjectStore
from services.gateway.relay import release_batch
from services.status.cancel_markers import CancelMarkers
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from tests.integration.conftest import RequestFactory
from tests.integration.states.conftest import (
    DAYS,
    Downloads,
    apply_events,
    day_finished,
    failed,
    inbox,
    started,
    view_of,
)
from tests.support.outbox import CLAIM_FOR

ACTOR = "user/7"


async def refusal_of(command: Awaitable[object]) -> tuple[ErrorCode, int]:
    with pytest.raises(ExhaustError) as refused:
        await command
    return refused.value.code, refused.value.status


async def acts(database: Database, action: Action) -> list[tuple[str, str, dict[str, int]]]:
    entries = await find_audit_entries(database, AuditFilter(action=action))
    return [(entry.actor, entry.subject, dict(entry.detail)) for entry in entries]


async def waiting(database: Database) -> list[tuple[UUID, int]]:
    return [(row["request_id"], row["attempt"]) for row in await database.fetch("SELECT * FROM outbox")]


@pytest.mark.parametrize("place", ["in the outbox", "with the aggregators"])
async def test_a_cancelled_request_is_ended_leaves_the_outbox_and_is_in_the_audit(
    database: Database, owner_database: Database, reader: RequestReader, request_factory: RequestFactory, place: str
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=place == "in the outbox")
    receipt = await cancel_request(database, request_id, actor=ACTOR)
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt, now.ended_at) == (State.CANCELLED, 1, receipt.cancelled_at)
    assert now.outcome is not None
    assert now.outcome["code"] == "CANCELLED"
    assert await waiting(database) == []
    assert await next_markers(database, limit=10) == [CancelledAttempt(request_id, 1)]
    # Again: the same receipt, and nothing else.
    assert await cancel_request(database, request_id, actor=ACTOR) == receipt
    assert await acts(owner_database, Action.CANCEL) == [(ACTOR, f"request/{request_id}", {"attempt": 1})]


async def test_late_events_change_nothing_of_a_cancelled_request(
    database: Database,
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    downloads: Downloads,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await apply_events(states, started(request_id), day_finished(request_id, 0))
    await cancel_request(database, request_id, actor=ACTOR)
    before = await view_of(reader, request_id)
    late = (day_finished(request_id, 1), failed(request_id), await downloads.write(request_id), started(request_id))
    await apply_events(states, *late)
    assert await view_of(reader, request_id) == before
    assert len(await inbox(database)) == 2 + len(late)
    await states.update(request_id, State.COMPLETE, {"key": "x"})
    assert await view_of(reader, request_id) == before


async def test_a_request_that_has_ended_is_not_cancelled(
    database: Database, states: RequestStates, request_factory: RequestFactory, downloads: Downloads
) -> None:
    done, broken = [await request_factory.request(days=DAYS, waiting=False) for _ in range(2)]
    await apply_events(states, await downloads.write(done), failed(broken))
    for ended in (done, broken):
        assert await refusal_of(cancel_request(database, ended, actor=ACTOR)) == (ErrorCode.INVALID_DATA_ERROR, 409)
    assert await next_markers(database, limit=10) == []


@pytest.mark.parametrize("command", [cancel_request, retry_request])
async def test_an_unknown_request_is_neither_cancelled_nor_retried(
    database: Database, command: Callable[..., Awaitable[object]]
) -> None:
    assert await refusal_of(command(database, uuid4(), actor=ACTOR)) == (ErrorCode.INVALID_REQUESTID, 404)


async def test_of_a_cancel_and_an_end_at_the_same_time_one_comes_first(
    database: Database,
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    downloads: Downloads,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    event = await downloads.write(request_id)
    cancelled, _ = await asyncio.gather(
        cancel_request(database, request_id, actor=ACTOR), apply_events(states, event), return_exceptions=True
    )
    expected = State.COMPLETE if isinstance(cancelled, ExhaustError) else State.CANCELLED
    assert (await view_of(reader, request_id)).state is expected


@pytest.mark.parametrize("step", ["publish", "delete"])
async def test_a_cancel_does_not_wait_for_a_release_of_the_same_request(
    database: Database, owner_database: Database, reader: RequestReader, request_factory: RequestFactory, step: str
) -> None:
    request_id = await request_factory.request(days=DAYS)
    if step == "publish":

        async def publish(_entry: OutboxEntry) -> None:
            await cancel_request(database, request_id, actor=ACTOR)

        batch = await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
        assert batch.released == 1
        assert batch.failures == []
    else:
        async with owner_database.transaction() as connection:
            await connection.execute("DELETE FROM outbox WHERE request_id = $1", request_id)
            await cancel_request(database, request_id, actor=ACTOR)
    assert (await view_of(reader, request_id)).state is State.CANCELLED
    assert await waiting(database) == []


@pytest.mark.parametrize("end", [State.FAILED, State.CANCELLED])
async def test_a_retry_starts_the_next_attempt(
    database: Database,
    owner_database: Database,
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    downloads: Downloads,
    end: State,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    if end is State.CANCELLED:
        await cancel_request(database, request_id, actor=ACTOR)
    else:
        await apply_events(states, day_finished(request_id, 0), failed(request_id))
    assert await retry_request(database, request_id, actor=ACTOR) == 2
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt, now.days_done, now.outcome, now.ended_at) == (State.SUBMITTED, 2, 0, None, None)
    assert await waiting(database) == [(request_id, 2)]
    assert await acts(owner_database, Action.RETRY) == [(ACTOR, f"request/{request_id}", {"attempt": 2})]
    assert await refusal_of(retry_request(database, request_id, actor=ACTOR)) == (ErrorCode.INVALID_DATA_ERROR, 409)
    # What the first attempt says now comes too late.
    await apply_events(states, await downloads.write(request_id), failed(request_id))
    assert (await view_of(reader, request_id)).state is State.SUBMITTED
    await apply_events(states, await downloads.write(request_id, 2))
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt) == (State.COMPLETE, 2)
    assert await refusal_of(retry_request(database, request_id, actor=ACTOR)) == (ErrorCode.INVALID_DATA_ERROR, 409)


async def test_a_retry_of_a_request_that_was_parked_is_released(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS)
    async with owner_database.transaction() as connection:
        await park_request(connection, request_id, "a broken row")
    await cancel_request(database, request_id, actor=ACTOR)
    await retry_request(database, request_id, actor=ACTOR)
    released: list[int] = []

    async def publish(entry: OutboxEntry) -> None:
        released.append(entry.attempt)
        await asyncio.sleep(0)

    await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
    assert released == [2]
    assert await list_parked_requests(database, limit=10) == []


async def test_a_retry_beside_an_identical_request_in_progress_is_refused(
    database: Database,
    owner_database: Database,
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
) -> None:
    user_id = await request_factory.user()
    broken, other = [await request_factory.request(user_id=user_id, days=DAYS, waiting=False) for _ in range(2)]
    await apply_events(states, failed(broken))
    async with owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE requests SET tags = (SELECT tags FROM requests WHERE request_id = $1) WHERE request_id = $2",
            *(broken, other),
        )
    with pytest.raises(ExhaustError, match="identical request"):
        await retry_request(database, broken, actor=ACTOR)
    assert (await view_of(reader, broken)).state is State.FAILED
    assert await waiting(database) == []


async def test_the_marker_of_a_cancelled_attempt_is_written_also_after_its_retry(
    database: Database, objects: ObjectStore, downloads: Downloads, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await cancel_request(database, request_id, actor=ACTOR)
    await retry_request(database, request_id, actor=ACTOR)
    markers = CancelMarkers(database, objects, downloads.bucket)
    for _ in range(2):
        await markers.write()
        assert (await objects.head(downloads.bucket, cancelled_key(request_id, 1))).size == 0
        assert await next_markers(database, limit=10) == []
    with pytest.raises(ObjectMissingError):
        await objects.head(downloads.bucket, cancelled_key(request_id, 2))


async def test_a_marker_waits_while_the_store_is_away(
    database: Database,
    objects: ObjectStore,
    away_objects: ObjectStore,
    downloads: Downloads,
    request_factory: RequestFactory,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await cancel_request(database, request_id, actor=ACTOR)
    await CancelMarkers(database, away_objects, downloads.bucket).write()
    assert await next_markers(database, limit=10) == [CancelledAttempt(request_id, 1)]
    await CancelMarkers(database, objects, downloads.bucket).write()
    assert await next_markers(database, limit=10) == []
