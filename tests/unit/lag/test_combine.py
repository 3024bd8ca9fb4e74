"""Stages, put together from Kafka and the database, also when one of them does not answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from exhaust.lag.combine import Seen, Unseen, combine
from exhaust.lag.groups import GroupLag, Member, PartitionLag
from exhaust.lag.memory import remember
from exhaust.lag.sentences import sentences
from exhaust.lag.stages import Stage, StageSample, UnknownStage
from exhaust.lag.verdict import Targets, Urgency, Verdict, Word, judge
from exhaust.postgres.lag import OpenWork, StageWork

NOW: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
WORK: Final = OpenWork(
    outbox=StageWork(3, 2, 12, NOW - MINUTE),
    held=2,
    paused=0,
    plan=StageWork(7, 2, 45, NOW - 3 * MINUTE),
    build=StageWork(2, 1, 20, NOW - 2 * MINUTE),
    requests={"submitted": 10, "inprogress": 2, "parked": 0},
)
NO_WORK: Final = OpenWork(StageWork(), 0, 0, StageWork(), StageWork(), {})
AWAY: Final = Unseen("PostgreSQL does not answer")
NO_KAFKA: Final = Unseen("Kafka does not answer")


def group(name: str, waiting: int, *, members: int = 1, age: timedelta = 5 * MINUTE) -> GroupLag:
    oldest = NOW - age if waiting else None
    partition = PartitionLag(0, 100, 100, 100 + waiting, oldest)
    return GroupLag(name, f"topic of {name}", (Member("a", "b", (0,)),) * members, (partition,))


def seen(work: OpenWork | Unseen = WORK, *, waiting: int = 7, members: int = 1) -> Seen:
    groups = {
        Stage.PLAN: group("aggregator-plan", waiting, members=members),
        Stage.BUILD: group("aggregator-build", 0, members=members),
        Stage.REPORT: group("status", 0),
    }
    memories = {stage: remember(found, None, NOW) for stage, found in groups.items()}
    return Seen(NOW, groups, memories, work, progress_at=NOW)


def without_kafka(work: OpenWork | Unseen = WORK) -> Seen:
    return Seen(NOW, dict.fromkeys((Stage.PLAN, Stage.BUILD, Stage.REPORT), NO_KAFKA), {}, work)


def verdicts(found: Seen) -> dict[Stage, Verdict]:
    judged = [
        judge(stage if isinstance(stage, UnknownStage) else [stage], now=NOW, targets=Targets())
        for stage in combine(found, {})
    ]
    return {verdict.stage: verdict for verdict in judged}


def test_stages_come_in_the_order_of_a_requests_way() -> None:
    assert [stage.stage for stage in combine(seen(), {})] == list(Stage)
    assert [stage.stage for stage in combine(without_kafka(AWAY), {})] == list(Stage)


def test_the_outbox_counts_what_was_released_to_its_topic() -> None:
    outbox = combine(seen(), {})[0]
    assert isinstance(outbox, StageSample)
    assert (outbox.messages, outbox.work_days, outbox.requests, outbox.partners, outbox.held) == (3, 12, 3, 2, 2)
    assert outbox.done == 107


def test_the_oldest_of_a_stage_is_the_oldest_on_either_side() -> None:
    plan, build = combine(seen(), {})[1:3]
    assert isinstance(plan, StageSample)
    assert isinstance(build, StageSample)
    assert plan.oldest == NOW - 5 * MINUTE  # of the topic
    assert build.oldest == NOW - 2 * MINUTE  # of the database
    assert (plan.messages, plan.work_days, build.messages, build.work_days) == (7, 45, 0, 20)


def test_without_the_database_nothing_is_told_to_be_empty() -> None:
    found = verdicts(seen(AWAY, waiting=0))
    assert {stage: verdict.word for stage, verdict in found.items()} == {
        Stage.OUTBOX: Word.UNKNOWN,
        Stage.PLAN: Word.UNKNOWN,
        Stage.BUILD: Word.UNKNOWN,
        Stage.REPORT: Word.IDLE,
    }
    assert found[Stage.PLAN].why == "PostgreSQL does not answer"


def test_what_kafka_shows_alone_is_told_without_the_database() -> None:
    verdict = verdicts(seen(AWAY, members=0))[Stage.PLAN]
    assert (verdict.word, verdict.urgency) == (Word.NOBODY_READS, Urgency.PAGE)
    assert "Nobody plans. 7 messages stand still, the oldest for 5 min." in sentences(verdict, NOW).what


def test_without_kafka_only_the_outbox_is_known() -> None:
    words = {stage: verdict.word for stage, verdict in verdicts(without_kafka()).items()}
    assert words.pop(Stage.OUTBOX) is Word.KEEPS_UP
    assert set(words.values()) == {Word.UNKNOWN}


def test_without_kafka_the_outbox_keeps_its_counter() -> None:
    last = StageSample(Stage.OUTBOX, NOW - MINUTE, 0, 0, None, done=31)
    outbox = combine(without_kafka(), {Stage.OUTBOX: last})[0]
    assert isinstance(outbox, StageSample)
    assert outbox.done == 31


def test_without_both_everything_is_unknown_with_both_reasons() -> None:
    plan = combine(without_kafka(AWAY), {})[1]
    assert isinstance(plan, UnknownStage)
    assert plan.why == "Kafka does not answer; PostgreSQL does not answer"


def test_a_server_that_was_not_asked_for_pages_nobody() -> None:
    found = verdicts(seen(Unseen("no database is configured here", left_out=True), waiting=0))
    assert {found[stage].urgency for stage in (Stage.OUTBOX, Stage.PLAN, Stage.BUILD)} == {Urgency.ATTENTION}
    assert found[Stage.OUTBOX].word is Word.UNKNOWN
    away = verdicts(seen(AWAY, waiting=0))
    assert {away[stage].urgency for stage in (Stage.OUTBOX, Stage.PLAN, Stage.BUILD)} == {Urgency.PAGE}


def test_an_idle_night_is_idle() -> None:
    assert {verdict.word for verdict in verdicts(seen(NO_WORK, waiting=0)).values()} == {Word.IDLE}
