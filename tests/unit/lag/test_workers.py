"""Workers, from what they tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from exhaust.lag.workers import SILENT_AFTER, Worker, hear, last_progress, slowest_days
from schemas.events import WorkerBeat

START: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
EVERY: Final = timedelta(seconds=10)


def beat(number: int, bytes_done: int, worker: str = "one", p95: float | None = None) -> bytes:
    """The beat of a worker, so many times ten seconds after the start."""
    return WorkerBeat(
        worker=worker, version="1", at=START + number * EVERY, partitions={}, bytesdone=bytes_done, dayp95=p95
    ).to_json()


def heard(*told: bytes, at: datetime = START + timedelta(minutes=1)) -> tuple[Worker, ...]:
    return hear((), told, at)


def test_progress_is_when_the_bytes_last_grew() -> None:
    [worker] = heard(beat(0, 5), beat(1, 9), beat(2, 9))
    assert worker.beat.at == START + 2 * EVERY
    assert worker.progress_at == START + EVERY


def test_one_beat_shows_no_progress() -> None:
    [worker] = heard(beat(0, 5))
    assert worker.progress_at is None
    assert last_progress([worker]) is None


def test_each_worker_is_heard_apart_in_whichever_order_looks_come() -> None:
    first = heard(beat(0, 5), beat(0, 700, "two"))
    found = hear(first, [beat(1, 700, "two"), beat(1, 6)], START + timedelta(minutes=1))
    assert [(worker.beat.worker, worker.progress_at) for worker in found] == [("one", START + EVERY), ("two", None)]
    assert last_progress(found) == START + EVERY


def test_a_late_beat_changes_nothing() -> None:
    [worker] = heard(beat(2, 9), beat(1, 5))
    assert worker.beat.bytesdone == 9


def test_what_is_no_beat_is_passed_over() -> None:
    [worker] = heard(b"", b"{}", b"\xff", beat(0, 5), b'{"worker": "x"}')
    assert worker.beat.worker == "one"


def test_a_worker_that_tells_nothing_is_silent_and_then_forgotten() -> None:
    [worker] = heard(beat(0, 5))
    assert not worker.is_silent(START + SILENT_AFTER)
    assert worker.is_silent(START + SILENT_AFTER + EVERY)
    assert hear([worker], [], START + timedelta(minutes=59)) == (worker,)
    assert hear([worker], [], START + timedelta(minutes=60)) == ()


def test_the_slowest_days_of_all_who_are_heard_count() -> None:
    found = heard(beat(0, 1, "one", 2.0), beat(0, 1, "two", 30.0), beat(0, 1, "three"))
    assert slowest_days(found, START) == timedelta(seconds=30)
    assert slowest_days(found, START + timedelta(minutes=5)) is None
