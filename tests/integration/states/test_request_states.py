"""How completion events move the state of a request, and that every request ends."""

import asyncio
from datetime import timedelta

from exhaust.domain.state_machine import State
from exhaust.postgres.database import Database
from exhaust.postgres.outbox import OutboxEntry
from schemas.events import SOURCE_AGGREGATOR
from services.gateway.relay import release_batch
from services.status.request_reader import RequestReader
from services.status.request_states import Reaped, RequestStates
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
from tests.support.completions import claim
from tests.support.outbox import CLAIM_FOR

AT_ONCE = timedelta(0)


async def test_an_event_is_identified_by_source_id_and_contents_and_counts_once(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    downloads: Downloads,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    for _ in range(2):
        await states.apply(claim(day_finished(request_id, 0), "1"))
    assert await inbox(database) == ["1"]
    # Another event under the id of one that counted, such as a forged one, stands in nobody's way.
    for _ in range(2):
        await states.apply(claim(await downloads.write(request_id), "1"))
    assert await inbox(database) == ["1", "1"]
    assert (await view_of(reader, request_id)).state is State.COMPLETE


async def test_an_inbox_row_of_the_version_before_does_no_harm(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    for _ in range(2):
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO inbox (source, event_id) VALUES ($1, '1') ON CONFLICT DO NOTHING", SOURCE_AGGREGATOR
            )
    assert await inbox(database) == ["1"]
    await states.apply(claim(day_finished(request_id, 0), "1"))
    assert (await view_of(reader, request_id)).days_done == 1


async def test_one_event_delivered_many_times_at_once_counts_once(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    downloads: Downloads,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    event = await downloads.write(request_id)
    await asyncio.gather(*(states.apply(claim(event, "1")) for _ in range(8)))
    assert await inbox(database) == ["1"]
    assert (await view_of(reader, request_id)).state is State.COMPLETE


async def test_a_request_that_is_done_has_all_its_days_and_its_archive(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    before = await view_of(reader, request_id)
    assert (before.state, before.attempt, before.days_done, len(before.days)) == (State.SUBMITTED, 1, 0, DAYS)
    assert before.outcome is None
    event = await downloads.write(request_id)
    # An end may come before the word about its days.
    await apply_events(states, event)
    now = await view_of(reader, request_id)
    assert (now.state, now.days_done, len(now.days)) == (State.COMPLETE, DAYS, DAYS)
    stored = await downloads.objects.head(downloads.bucket, event.archive.key)
    assert now.outcome == event.archive.model_dump() | {"etag": stored.etag}


async def test_a_failed_request_has_an_error(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await apply_events(states, day_finished(request_id, 0), failed(request_id), day_finished(request_id, 1))
    now = await view_of(reader, request_id)
    assert (now.state, now.days_done) == (State.FAILED, 2)
    assert now.outcome == {"code": "SOURCE_OBJECT_UNREADABLE", "message": "a raw object is broken"}


async def test_progress_counts_days_of_the_current_attempt(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await apply_events(states, *(day_finished(request_id, number) for number in range(2)))
    assert (await view_of(reader, request_id)).days_done == 2
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(1, 0)
    assert (await view_of(reader, request_id)).days_done == 0
    await apply_events(states, day_finished(request_id, 2, attempt=1), day_finished(request_id, 0, attempt=2, events=7))
    now = await view_of(reader, request_id)
    assert (now.attempt, now.days_done, now.events, now.bytes) == (2, 1, 7, 700)


async def test_a_request_without_progress_is_tried_again_and_then_fails(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    handed: list[int] = []

    async def publish(entry: OutboxEntry) -> None:
        handed.append(entry.attempt)

    assert await states.reap(no_progress_after=timedelta(hours=1), max_attempts=3) == Reaped(0, 0)
    for attempt in (2, 3):
        await apply_events(states, started(request_id, attempt - 1))
        assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(1, 0)
        now = await view_of(reader, request_id)
        assert (now.state, now.attempt) == (State.SUBMITTED, attempt)
        assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 0)
        assert (await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)).released == 1
    assert handed == [2, 3]
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 1)
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt) == (State.FAILED, 3)
    assert now.outcome is not None
    assert now.outcome["code"] == "NO_PROGRESS"
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 0)


async def test_a_finished_request_is_not_reaped(
    states: RequestStates, request_factory: RequestFactory, downloads: Downloads
) -> None:
    done, broken = [await request_factory.request(days=DAYS, waiting=False) for _ in range(2)]
    await apply_events(states, await downloads.write(done), failed(broken))
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 0)


async def test_two_reapers_at_once_start_one_attempt(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    async with database.transaction() as connection:
        await connection.execute("UPDATE requests SET moved_at = now() - interval '2 minutes'")
    a_minute = timedelta(minutes=1)
    reaped = await asyncio.gather(*(states.reap(no_progress_after=a_minute, max_attempts=3) for _ in range(4)))
    assert sum(each.again for each in reaped) == 1
    assert (await view_of(reader, request_id)).attempt == 2
    assert len(await database.fetch("SELECT 1 FROM outbox")) == 1


async def test_a_report_of_an_earlier_attempt_changes_nothing(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await states.reap(no_progress_after=AT_ONCE, max_attempts=3)
    before = await view_of(reader, request_id)
    await apply_events(states, await downloads.write(request_id), failed(request_id, 1), day_finished(request_id, 0, 1))
    assert await view_of(reader, request_id) == before
    await apply_events(states, await downloads.write(request_id, 2))
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt) == (State.COMPLETE, 2)


async def test_an_archive_completes_a_request_that_was_reaped(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=1) == Reaped(0, 1)
    await apply_events(states, await downloads.write(request_id))
    assert (await view_of(reader, request_id)).state is State.COMPLETE
