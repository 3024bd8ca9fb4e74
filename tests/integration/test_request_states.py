"""How completion events move the state of a request, in any order, and that every request ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exhaust.domain.object_keys import attempt_prefix, outer_archive_key
from exhaust.domain.requests import State
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.outbox import OutboxEntry
from exhaust.postgres.request_views import RequestView
from schemas.events import Completed, Failed, Failure, FinishedArchive, FinishedDay, Progress
from services.gateway.relay import release_batch
from services.status.change_notifier import ChangeNotifier
from services.status.request_reader import RequestReader
from services.status.request_states import Completion, Reaped, RefusedCompletionError, RequestStates
from tests.integration.conftest import LONG_AGO, RequestFactory

SOURCE = "/test"
DAYS = 3
AT_ONCE = timedelta(0)
SOMEBODY_ELSE = UUID("11111111-1111-4111-8111-111111111111")


def started(request_id: UUID, attempt: int = 1) -> Progress:
    return Progress(requestid=request_id, attempt=attempt, daystotal=DAYS)


def day_finished(request_id: UUID, number: int, attempt: int = 1, events: int = 10) -> Progress:
    day = FinishedDay(
        day=LONG_AGO + timedelta(days=number), state="ok", events=events, bytes=events * 100, unreadable=0, reused=False
    )
    return Progress(requestid=request_id, attempt=attempt, daystotal=DAYS, day=day)


def completed(request_id: UUID, attempt: int = 1, *, key: str | None = None, size: int = 1000) -> Completed:
    last = LONG_AGO + timedelta(days=DAYS - 1)
    own = outer_archive_key(request_id, attempt, "eks-consumption-raw", LONG_AGO, last)
    archive = FinishedArchive(key=own if key is None else key, size=size, digest="1" * 64, events=30, bytes=3000)
    return Completed(requestid=request_id, attempt=attempt, archive=archive)


def failed(request_id: UUID, attempt: int = 1, *, message: str = "a raw object is broken") -> Failed:
    return Failed(
        requestid=request_id, attempt=attempt, error=Failure(code="SOURCE_OBJECT_UNREADABLE", message=message)
    )


@pytest.fixture
def states(database: Database) -> RequestStates:
    return RequestStates(database)


async def take_in(states: RequestStates, *completions: Completion) -> None:
    for completion in completions:
        await states.apply(SOURCE, str(uuid4()), completion)


@pytest.fixture
def reader(database: Database) -> RequestReader:
    return RequestReader(database, GrantStore(database), ChangeNotifier())


async def view_of(reader: RequestReader, request_id: UUID) -> RequestView:
    found = (await reader.find([request_id])).get(request_id)
    assert found is not None
    return found


async def inbox(database: Database) -> list[str]:
    return [row["event_id"] for row in await database.fetch("SELECT event_id FROM inbox ORDER BY event_id")]


ATTEMPTS = st.integers(1, 3)
COMPLETIONS = st.one_of(
    st.builds(lambda attempt: lambda to: started(to, attempt), ATTEMPTS),
    st.builds(
        lambda number, attempt, events: lambda to: day_finished(to, number, attempt, events),
        *(st.integers(0, DAYS - 1), ATTEMPTS, st.integers(0, 2)),
    ),
    st.builds(lambda attempt, size: lambda to: completed(to, attempt, size=size), ATTEMPTS, st.integers(0, 2)),
    st.builds(
        lambda attempt, message: lambda to: failed(to, attempt, message=message), ATTEMPTS, st.sampled_from("ab")
    ),
)


async def outcome_of(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, events: Sequence[tuple[int, Any]]
) -> dict[str, Any]:
    """What is read of a new request after these events; each has a number, and to whom it goes is filled in."""
    request_id = await request_factory.request(days=DAYS, waiting=False)
    for number, event in events:
        await states.apply(SOURCE, f"{request_id}/{number}", event(request_id))
    read = asdict(await view_of(reader, request_id)) | {
        "user_id": 0,
        "request_id": 0,
        "created_at": 0,
        "ended_at": 0,
        "tags": (),
    }
    if read["outcome"] and "key" in read["outcome"]:
        read["outcome"]["key"] = read["outcome"]["key"].replace(str(request_id), "REQUEST")
    return read


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMPLETIONS, min_size=1, max_size=6), st.data())
async def test_any_order_and_repetition_of_the_same_events_ends_in_the_same_state(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    events: list[Any],
    data: st.DataObject,
) -> None:
    numbered = list(enumerate(events))
    again = data.draw(st.lists(st.sampled_from(numbered), max_size=4), label="repeated")
    shuffled = data.draw(st.permutations([*numbered, *again]), label="arrival")
    before = len(await inbox(database))
    assert await outcome_of(states, reader, request_factory, shuffled) == await outcome_of(
        states, reader, request_factory, numbered
    )
    assert len(await inbox(database)) == before + 2 * len(numbered)


async def test_an_event_is_identified_by_source_and_id_and_counts_once(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    for _ in range(2):
        await states.apply(SOURCE, "1", day_finished(request_id, 0))
    await states.apply("/another", "1", day_finished(request_id, 1))
    # The same name again with other contents is the same event.
    await states.apply(SOURCE, "1", completed(request_id))
    assert await inbox(database) == ["1", "1"]
    now = await view_of(reader, request_id)
    assert (now.state, now.days_done, now.events, now.bytes) == (State.INPROGRESS, 2, 20, 2000)


async def test_one_event_delivered_many_times_at_once_counts_once(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    event = completed(request_id)
    await asyncio.gather(*(states.apply(SOURCE, "1", event) for _ in range(8)))
    assert await inbox(database) == ["1"]
    assert (await view_of(reader, request_id)).state is State.COMPLETE


async def test_a_request_that_is_done_has_all_its_days_and_its_archive(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    before = await view_of(reader, request_id)
    assert (before.state, before.attempt, before.days_done, len(before.days)) == (State.SUBMITTED, 1, 0, DAYS)
    assert before.outcome is None
    # A job elsewhere may complete a request without a word about its days.
    await take_in(states, completed(request_id))
    now = await view_of(reader, request_id)
    assert (now.state, now.days_done, len(now.days)) == (State.COMPLETE, DAYS, DAYS)
    assert now.outcome == completed(request_id).archive.model_dump()


async def test_a_failed_request_has_an_error(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await take_in(states, day_finished(request_id, 0), failed(request_id), day_finished(request_id, 1))
    now = await view_of(reader, request_id)
    assert (now.state, now.days_done) == (State.FAILED, 2)
    assert now.outcome == {"code": "SOURCE_OBJECT_UNREADABLE", "message": "a raw object is broken"}


async def test_an_unknown_request_is_refused(states: RequestStates, reader: RequestReader, database: Database) -> None:
    with pytest.raises(RefusedCompletionError, match=f"no request {SOMEBODY_ELSE}"):
        await states.apply(SOURCE, "1", completed(SOMEBODY_ELSE))
    assert await inbox(database) == []
    assert await reader.find([SOMEBODY_ELSE]) == {}


@pytest.mark.parametrize(
    "foreign",
    [
        attempt_prefix(SOMEBODY_ELSE, 1) + "stolen.zip",
        "days/eks-consumption-raw/somebody/2026-01-01/stolen.zip",
        "{prefix}../../" + f"{SOMEBODY_ELSE}/attempt-1/stolen.zip",
        "{attempt_2}other-attempt.zip",
        "/{prefix}leading-slash.zip",
        "{prefix}",
        "",
    ],
)
async def test_an_archive_outside_the_request_is_refused_and_undone(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database, foreign: str
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    key = foreign.format(prefix=attempt_prefix(request_id, 1), attempt_2=attempt_prefix(request_id, 2))
    before = await view_of(reader, request_id)
    with pytest.raises(RefusedCompletionError, match="outside its prefix"):
        await states.apply(SOURCE, "1", completed(request_id, key=key))
    assert await inbox(database) == []
    assert await view_of(reader, request_id) == before
    # What was refused under that name does not stand in the way of the true event.
    await states.apply(SOURCE, "1", completed(request_id))
    assert (await view_of(reader, request_id)).state is State.COMPLETE


async def test_progress_counts_days_of_the_current_attempt(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await take_in(states, *(day_finished(request_id, number) for number in range(2)))
    assert (await view_of(reader, request_id)).days_done == 2
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(1, 0)
    assert (await view_of(reader, request_id)).days_done == 0
    await take_in(states, day_finished(request_id, 2, attempt=1), day_finished(request_id, 0, attempt=2, events=7))
    now = await view_of(reader, request_id)
    assert (now.attempt, now.days_done, now.events, now.bytes) == (2, 1, 7, 700)


async def test_a_day_that_was_not_asked_for_is_no_progress(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    for number in (-1, DAYS):
        try:
            await take_in(states, day_finished(request_id, number))
        except RefusedCompletionError:
            continue
    now = await view_of(reader, request_id)
    assert (now.days_done, now.events) == (0, 0)


async def test_a_request_without_progress_is_tried_again_and_then_fails(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, database: Database
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    handed: list[int] = []

    async def publish(entry: OutboxEntry) -> None:
        handed.append(entry.attempt)

    assert await states.reap(no_progress_after=timedelta(hours=1), max_attempts=3) == Reaped(0, 0)
    for attempt in (2, 3):
        await take_in(states, started(request_id, attempt - 1))
        assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(1, 0)
        now = await view_of(reader, request_id)
        assert (now.state, now.attempt) == (State.SUBMITTED, attempt)
        assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 0)
        assert (await release_batch(database, publish, max_in_flight_per_partner=1)).released == 1
    assert handed == [2, 3]
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 1)
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt) == (State.FAILED, 3)
    assert now.outcome is not None
    assert now.outcome["code"] == "NO_PROGRESS"
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=3) == Reaped(0, 0)


async def test_a_finished_request_is_not_reaped(states: RequestStates, request_factory: RequestFactory) -> None:
    done, broken = [await request_factory.request(days=DAYS, waiting=False) for _ in range(2)]
    await take_in(states, completed(done), failed(broken))
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
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await states.reap(no_progress_after=AT_ONCE, max_attempts=3)
    before = await view_of(reader, request_id)
    await take_in(states, completed(request_id, 1), failed(request_id, 1), day_finished(request_id, 0, 1))
    assert await view_of(reader, request_id) == before
    await take_in(states, completed(request_id, 2))
    now = await view_of(reader, request_id)
    assert (now.state, now.attempt) == (State.COMPLETE, 2)


async def test_an_archive_completes_a_request_that_was_reaped(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    assert await states.reap(no_progress_after=AT_ONCE, max_attempts=1) == Reaped(0, 1)
    await take_in(states, completed(request_id))
    assert (await view_of(reader, request_id)).state is State.COMPLETE
