"""One sentence for each place where a request may be, and what stands beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from exhaust.domain.days import DayRange
from exhaust.domain.state_machine import State
from exhaust.operations.explanation import explain, explanation_document
from exhaust.postgres.audit import Action, AuditEntry
from exhaust.postgres.pauses import Pause, PausedKind, PauseTarget
from exhaust.postgres.request_story import AtWork, RequestStory, StoryDay, StoryLetter

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
REQUEST = UUID("11111111-0000-4000-8000-000000000000")
OTHERS = tuple(AtWork(UUID(f"0{number}60aaaa-0000-4000-8000-000000000000"), number) for number in (7, 8, 9))
FIRST = date(2026, 11, 1)
LIMIT = 3


def ago(**durations: int) -> datetime:
    return NOW - timedelta(**durations)


STORY = RequestStory(
    request_id=REQUEST,
    partner_id="maple",
    dataset="eks-consumption-raw",
    resource="r",
    asked=DayRange(FIRST, FIRST + timedelta(days=2)),
    tags=(),
    synchronous=False,
    state=State.SUBMITTED,
    attempt=1,
    outcome={},
    created_at=ago(minutes=10),
    moved_at=ago(minutes=3),
    ended_at=None,
    parked_at=None,
    parked_reason=None,
    released_at=None,
    planned_at=None,
    first_day_at=None,
    last_day_at=None,
    waiting_since=None,
    claimed_until=None,
    turn=None,
    at_work=(),
    pauses=(),
    days=(),
    acts=(),
    letters=(),
    seen_at=NOW,
)
WAITS = replace(STORY, waiting_since=ago(minutes=10), turn=1)
PAUSE = Pause(PauseTarget(PausedKind.DATASET, "D", "D"), "raw is replaced", "operator/o/asha", ago(hours=5))
OF_PARTNER = Pause(PauseTarget(PausedKind.PARTNER, "r", "maple"), "floods us", "operator/o/asha", ago(minutes=7))


def act(number: int, action: Action, at: datetime, **detail: Any) -> AuditEntry:
    return AuditEntry(number, at, "operator/o/asha", action, f"request/{REQUEST}", detail, "o")


def finished(*attempts: int) -> tuple[StoryDay, ...]:
    """A finished day of each of these attempts, from the first day on."""
    return tuple(StoryDay(attempt, FIRST + timedelta(days=n), 10, 100) for n, attempt in enumerate(attempts))


@pytest.mark.parametrize(
    ("story", "what", "do"),
    [
        (
            replace(WAITS, at_work=OTHERS, turn=3),
            "waits in the outbox: maple has 3 at work and this is its 3rd; next when 0760… ends",
            "",
        ),
        (
            replace(WAITS, at_work=OTHERS[1:], turn=2),
            "waits in the outbox: maple has 2 at work and this is its 2nd; next when 0860… ends",
            "",
        ),
        (
            replace(WAITS, at_work=OTHERS[1:], turn=1, waiting_since=ago(seconds=29)),
            "waits in the outbox for its release, which is due at any moment",
            "",
        ),
        (
            replace(WAITS, waiting_since=ago(seconds=30)),
            "waits in the outbox for 30 s, although its release is due",
            "see whether a gateway works and reaches Kafka: exhaustctl flow --stage outbox",
        ),
        (
            replace(WAITS, claimed_until=NOW + timedelta(seconds=5), pauses=(PAUSE,)),
            "is on its way from the outbox to Kafka: a gateway publishes it at this moment",
            "",
        ),
        (
            replace(WAITS, at_work=OTHERS, pauses=(PAUSE,)),
            "waits in the outbox: dataset D is paused by operator/o/asha for 5 h: raw is replaced",
            "when the reason is gone: exhaustctl resume --dataset D --reason …",
        ),
        (
            replace(WAITS, pauses=(OF_PARTNER, PAUSE)),
            "waits in the outbox: partner maple is paused by operator/o/asha for 7 min: floods us",
            "when the reason is gone: exhaustctl resume --partner maple --reason …",
        ),
        (
            replace(WAITS, parked_at=ago(hours=3), parked_reason="ValueError: no range", pauses=(PAUSE,)),
            "is parked for 3 h, because nobody could handle it: ValueError: no range",
            f"mend the row, then: exhaustctl parked release {REQUEST}",
        ),
        (
            STORY,
            "was released 3 min ago, and waits on dataset.requests to be split into days",
            "see whether aggregators work: exhaustctl now",
        ),
        (
            replace(STORY, state=State.INPROGRESS, attempt=2, days=finished(1, 2)),
            "is at work in attempt 2: 1 of 3 days are finished, the last sign of progress was 3 min ago",
            "see who has its days in hand: exhaustctl workers",
        ),
        (
            replace(STORY, state=State.INPROGRESS, days=finished(1, 1, 1)),
            (
                "is at work in attempt 1: all 3 days are finished, and its download is being written; the last sign of"
                " progress was 3 min ago"
            ),
            "",
        ),
        (
            replace(STORY, state=State.COMPLETE, ended_at=ago(hours=2), outcome={"events": 5, "size": 900}),
            "is complete for 2 h: 5 events in 900 bytes; its download was asked for 0 times",
            "",
        ),
        (
            replace(
                STORY,
                state=State.COMPLETE,
                ended_at=ago(hours=2),
                acts=(act(1, Action.DOWNLOAD_LINK, NOW), act(2, Action.SUBMIT, NOW)),
            ),
            (
                "is complete for 2 h: an unknown number of events in an unknown number of bytes; its download was asked"
                " for 1 time"
            ),
            "",
        ),
        (
            replace(
                STORY,
                state=State.FAILED,
                ended_at=ago(days=3),
                days=finished(1, 1),
                outcome={"code": "LIMIT_EXCEEDED", "message": "too large", "day": "2026-11-03", "object": "raw/x"},
            ),
            (
                "failed 3 days ago in attempt 1 with LIMIT_EXCEEDED, day 2026-11-03, object raw/x: too large;"
                " 2 of 3 days are finished"
            ),
            f"when the cause is mended: exhaustctl retry {REQUEST} --reason …",
        ),
        (
            replace(STORY, state=State.FAILED, ended_at=ago(seconds=5)),
            "failed 5 s ago in attempt 1 with no code: no reason was told; 0 of 3 days are finished",
            f"when the cause is mended: exhaustctl retry {REQUEST} --reason …",
        ),
        (
            replace(
                STORY,
                state=State.CANCELLED,
                attempt=2,
                ended_at=ago(minutes=4),
                acts=(
                    act(1, Action.SUBMIT, ago(minutes=9)),
                    act(2, Action.CANCEL, ago(minutes=8), attempt=1, reason="a mistake"),
                    act(3, Action.RETRY, ago(minutes=7), attempt=2, reason="wanted"),
                    act(4, Action.CANCEL, ago(minutes=4), attempt=2, reason="by phone"),
                    act(5, Action.UPDATE_STATUS, ago(minutes=3), reason="late"),
                    act(6, Action.BIND, ago(minutes=3), reason="odd"),
                ),
            ),
            "was cancelled by operator/o/asha 4 min ago in attempt 2: by phone",
            "",
        ),
        (
            replace(
                STORY,
                state=State.CANCELLED,
                ended_at=ago(minutes=4),
                acts=(act(1, Action.CANCEL, ago(minutes=4), attempt=1),),
            ),
            "was cancelled by operator/o/asha 4 min ago in attempt 1",
            "",
        ),
        (
            replace(STORY, state=State.CANCELLED, ended_at=ago(minutes=4)),
            "was cancelled 4 min ago in attempt 1",
            "",
        ),
    ],
)
def test_the_sentence_says_where_and_why_and_what_to_do(story: RequestStory, what: str, do: str) -> None:
    sentence = explain(story, max_in_flight=LIMIT).sentence
    assert (sentence.what, sentence.do) == (what, do)


def test_what_another_job_builds_is_in_its_hands() -> None:
    sentence = explain(STORY, max_in_flight=LIMIT, executor="/org/spark").sentence
    assert sentence.what == "was released, and is in the hands of /org/spark, which last told of it 3 min ago"
    assert sentence.do == "ask who runs /org/spark"
    assert explain(WAITS, max_in_flight=LIMIT, executor="/org/spark").sentence.what.startswith("waits in the outbox")


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        (1, "1st"),
        (2, "2nd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (110, "110th"),
        (113, "113th"),
        (101, "101st"),
        (10, "10th"),
    ],
)
def test_turns_are_told_as_people_say_them(turn: int, shown: str) -> None:
    sentence = explain(replace(WAITS, at_work=OTHERS, turn=turn), max_in_flight=LIMIT).sentence
    assert f"this is its {shown};" in sentence.what


def test_the_timeline_goes_from_submit_to_download() -> None:
    letter = StoryLetter("3/7", "UNKNOWN_REQUEST", "waiting", ago(minutes=6))
    acts = (
        act(1, Action.SUBMIT, ago(minutes=10), partner="maple"),
        act(2, Action.RETRY, ago(minutes=8), attempt=2, reason="object replaced"),
        act(3, Action.DOWNLOAD_LINK, ago(minutes=1)),
    )
    told = replace(
        STORY,
        state=State.COMPLETE,
        attempt=2,
        released_at=ago(seconds=350),
        planned_at=ago(seconds=340),
        first_day_at=ago(seconds=300),
        last_day_at=ago(seconds=200),
        ended_at=ago(minutes=3),
        acts=acts,
        letters=(letter,),
    )
    assert [(found.what, found.attempt) for found in explain(told, max_in_flight=LIMIT).timeline] == [
        ("submit by operator/o/asha", None),
        ("retry by operator/o/asha: object replaced", 2),
        ("dead letter 3/7: UNKNOWN_REQUEST, waiting", None),
        ("released", 2),
        ("split into days", 2),
        ("the first day is finished", 2),
        ("all days are finished", 2),
        ("complete", 2),
        ("download-link by operator/o/asha", None),
    ]


def test_without_an_audit_the_timeline_has_what_the_row_has() -> None:
    timeless = StoryLetter("3/7", "SCHEMA", "waiting", None)
    parked = replace(
        WAITS, parked_at=ago(minutes=2), parked_reason="x", letters=(timeless,), waiting_since=ago(minutes=9)
    )
    update = act(1, Action.UPDATE_STATUS, ago(minutes=1))
    parked = replace(parked, acts=(update, act(2, Action.RETRY, ago(seconds=50))))
    assert [(found.what, found.attempt) for found in explain(parked, max_in_flight=LIMIT).timeline] == [
        ("submit", 1),
        ("waits in the outbox", 1),
        ("parked: x", 1),
        ("update by operator/o/asha", None),
        ("retry by operator/o/asha", None),
    ]
    at_work = replace(STORY, attempt=2)
    assert [(found.what, found.attempt) for found in explain(at_work, max_in_flight=LIMIT).timeline] == [
        ("submit", 1),
        ("last sign of progress", 2),
    ]


def test_each_day_and_each_attempt_is_told() -> None:
    acts = (
        act(1, Action.CANCEL, ago(minutes=9), attempt=1),
        act(2, Action.RETRY, ago(minutes=8), attempt=2),
        act(3, Action.UPDATE_STATUS, ago(minutes=7), attempt=3),
        act(4, Action.BIND, ago(minutes=7), attempt=3),
        act(5, Action.UPDATE_STATUS, ago(minutes=7), attempt=2),
        act(6, Action.BIND, ago(minutes=7), attempt=2),
    )
    told = replace(STORY, state=State.FAILED, attempt=3, acts=acts, days=finished(1, 3), outcome={"day": "2026-11-03"})
    explained = explain(told, max_in_flight=LIMIT)
    assert [(cell.day.day, cell.state, cell.attempt, cell.events) for cell in explained.days] == [
        (1, "finished earlier", 1, 10),
        (2, "finished", 3, 10),
        (3, "failed", None, None),
    ]
    assert [(found.began, found.days_done, found.ended) for found in explained.attempts] == [
        ("submit", 1, "cancelled by operator/o/asha"),
        ("retry by operator/o/asha", 0, "ended before the next began"),
        ("no progress in the attempt before", 1, "failed"),
    ]
    open_cells = explain(replace(told, state=State.INPROGRESS), max_in_flight=LIMIT).days
    assert open_cells[2].state == "open"
    document = explanation_document(told, explained)
    assert document["sentence"] == explained.sentence.what
    assert [cell["state"] for cell in document["days"]] == ["finished earlier", "finished", "failed"]
    assert len(document["attempts"]) == 3
