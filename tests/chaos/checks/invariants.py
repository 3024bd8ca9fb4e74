"""The invariants of requests, events and offsets: pure functions from facts and history to violations."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import orjson

from tests.chaos.checks.facts import COMPLETIONS, DAYS, GROUPS, LETTERS, OPEN, REQUESTS, event_identity, origin_of
from tests.chaos.history import CANCELLED, COMPLETE, FAILED, ends_of
from tests.chaos.kafka_log import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.checks.facts import Facts
    from tests.chaos.history import History
    from tests.chaos.kafka_log import Stored

POISON_MARK: Final = "x-chaos"  # a header of planted records; a dead letter keeps it
RANK: Final = {"submitted": 0, "inprogress": 1, "failed": 2, "complete": 2, "cancelled": 2}
TERMINAL: Final = {COMPLETE, FAILED, CANCELLED}


def each_accepted_request_has_one_row_and_one_end(facts: Facts, history: History) -> Iterator[str]:
    """I1."""
    by_username = {submit.username: submit for submit in history.submits}
    for request_id, submits in history.accepted().items():
        row = facts.rows.get(request_id)
        if row is None:
            yield f"request {request_id} was accepted, and has no row"
        elif row.state in OPEN or row.parked:
            yield f"request {request_id} has not ended: {row.state}, attempt {row.attempt}, parked: {row.parked}"
        elif row.state not in (ends := ends_of(submits)):
            yield f"request {request_id} is {row.state} and should be {' or '.join(sorted(ends))}: {dict(row.outcome)}"
    for row in facts.rows.values():
        submit = by_username.get(row.username)
        if submit is None or row.client != submit.client or row.asked != submit.asked.identity():
            yield f"request {row.id} of {row.client}/{row.username} was asked for by nobody: {row.asked}"
    for username, number in Counter(row.username for row in facts.rows.values()).items():
        if number > 1:
            yield f"submit {username} made {number} requests"
    yield from _keys(facts, history)


def _keys(facts: Facts, history: History) -> Iterator[str]:
    """A submit that was answered and repeated under its key stands for one request."""
    for submit in history.submits:
        if submit.request_id is not None and submit.request_id not in facts.rows:
            yield f"submit {submit.username} was told request {submit.request_id}, which there is not"
        if submit.refused is not None:
            yield f"submit {submit.username} was refused: {submit.refused}"


def ends_stay_and_requests_only_move_forward(facts: Facts, history: History) -> Iterator[str]:
    """I2."""
    for request_id, moves in facts.moves_of().items():
        for before, after in itertools.pairwise(moves):
            there, here = (before.attempt, RANK[before.state]), (after.attempt, RANK[after.state])
            if here < there:
                yield f"request {request_id} went back from {before.attempt}/{before.state} to {after.state}"
            ended = before.state in TERMINAL and before.attempt == after.attempt
            if ended and (before.state, before.outcome) != (after.state, after.outcome):
                yield f"the end of request {request_id} changed from {before.state} to {after.state}"
    for submit in history.submits:
        words = [str(result.get("status")) for _, result in submit.seen]
        ends = [word for word in words if word in {COMPLETE, FAILED}]
        if ends and (len(set(ends)) > 1 or "inprogress" in words[words.index(ends[0]) :]):
            yield f"a client saw request {submit.request_id} end and change: {words}"


def accepted_published_and_completed_are_the_same(facts: Facts, history: History) -> Iterator[str]:
    """I3."""
    accepted = set(facts.rows)
    published = {request_of(record) for record in genuine(facts.topics[REQUESTS])}
    for request_id in sorted(accepted - published):
        if facts.rows[request_id].state != CANCELLED:
            yield f"request {request_id} was accepted, and never published"
    for request_id in sorted(published - accepted):
        yield f"request {request_id} was published, and never accepted"
    completed = {request_of(record) for record in genuine(facts.topics[COMPLETIONS]) if is_complete(record)}
    complete = {row.id for row in facts.rows.values() if row.state == COMPLETE}
    for request_id in sorted(complete - completed):
        yield f"request {request_id} is complete, and nothing on {COMPLETIONS} says so"
    cancelled = {row.id for row in facts.rows.values() if row.state == CANCELLED}
    for request_id in sorted(completed - complete - cancelled):  # of a cancelled one, the work may have been done
        yield f"request {request_id} was completed by {COMPLETIONS}, and is {_state(facts, request_id)}"
    if facts.outbox:
        yield f"{len(facts.outbox)} requests wait in the outbox: {sorted(facts.outbox)[:3]}"
    days = {(request_of(record), str(said(record).get("day"))) for record in genuine(facts.topics[DAYS])}
    for request_id, submits in history.accepted().items():
        if COMPLETE in ends_of(submits) and request_id in facts.rows:
            missing = {(request_id, day) for day in submits[0].asked.days()} - days
            if missing and facts.rows[request_id].state == COMPLETE:
                yield f"request {request_id} is complete without {sorted(day for _, day in missing)} on {DAYS}"


def offsets_are_at_their_ends(facts: Facts, history: History) -> Iterator[str]:
    """I6."""
    for (group, topic, partition), lag in facts.lag().items():
        yield f"group {group} is {lag} records from the end of {topic}-{partition}"
    buried = {letter.header(POISON_MARK) for letter in facts.topics[LETTERS]} - {""}
    for mark in sorted(history.planted - buried):
        yield f"poison {mark} is in no dead letter"
    places = {(record.topic, record.partition, record.offset): record for record in _all_records(facts)}
    for letter in facts.topics[LETTERS]:
        if letter.header(POISON_MARK) in history.planted:
            continue
        record = places.get(origin_of(letter))
        if record is None or not _may_fail(facts, history, record):
            yield f"a dead letter of nothing that was planted: {letter.header('dl_code')} {letter.header('dl_error')}"


def _may_fail(facts: Facts, history: History, record: Stored) -> bool:
    """A day of a request that should fail becomes a dead letter too."""
    submits = history.accepted().get(request_of(record), [])
    row = facts.rows.get(request_of(record))
    by_name = [submit for submit in history.submits if row is not None and submit.username == row.username]
    return record.topic == DAYS and any(submit.has_failing_days for submit in submits + by_name)


def each_event_counts_once(facts: Facts, history: History) -> Iterator[str]:
    """I11."""
    del history
    refused = {origin_of(letter) for letter in facts.topics[LETTERS]}
    told = {
        event_identity(record)
        for record in facts.topics[COMPLETIONS]
        if (record.topic, record.partition, record.offset) not in refused
    }
    for source, event_id, _ in sorted(told - facts.inbox):
        yield f"event {event_id} of {source} is not in the inbox"
    for source, event_id, _ in sorted(facts.inbox - told):
        yield f"event {event_id} of {source} is in the inbox, and never came"
    if facts.outbox:
        yield f"the outbox holds {len(facts.outbox)} rows"


def committed_offsets_never_go_back(facts: Facts, history: History) -> Iterator[str]:
    """I12."""
    del history
    last: defaultdict[tuple[str, str, int], int] = defaultdict(int)
    for commit in facts.commits:
        place = (commit.group, commit.topic, commit.partition)
        if commit.group in GROUPS and commit.offset < last[place]:
            yield f"group {commit.group} went back on {commit.topic}-{commit.partition}: {last[place]}, {commit.offset}"
        last[place] = commit.offset


def said(record: Stored) -> dict[str, object]:
    """Return the JSON object in a record; empty for anything else."""
    try:
        found = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def request_of(record: Stored) -> str:
    return str(said(record).get("requestid", ""))


def is_complete(record: Stored) -> bool:
    return said(record).get("status") == COMPLETE


def genuine(records: list[Stored]) -> list[Stored]:
    """Return the records that the services sent themselves."""
    return [record for record in records if not record.header(POISON_MARK) and record.value != UNREADABLE]


def _all_records(facts: Facts) -> list[Stored]:
    return [record for topic in GROUPS.values() for record in facts.topics[topic]]


def _state(facts: Facts, request_id: str) -> str:
    row = facts.rows.get(request_id)
    return "unknown" if row is None else row.state
