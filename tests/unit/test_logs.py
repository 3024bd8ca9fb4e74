"""Log lines that repeat, of libraries and of loops that wait: the first at once, then a count."""

import logging
import tracemalloc
from datetime import timedelta

import pytest
import structlog

from exhaust.logs import RepeatFilter, WaitingFilter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def line(message: str, *args: object, logger: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, __file__, 1, message, args, None)


def test_the_first_line_is_written_at_once_and_repetitions_are_counted() -> None:
    clock = Clock()
    repeats = RepeatFilter(timedelta(seconds=30), clock)
    first = line("Unable connect to node %s", 1)
    assert repeats.filter(first)
    assert first.getMessage() == "Unable connect to node 1"
    for _ in range(120):
        clock.now += 0.2
        assert not repeats.filter(line("Unable connect to node %s", 2))
    clock.now += 10
    later = line("Unable connect to node %s", 3)
    assert repeats.filter(later)
    assert later.getMessage() == "Unable connect to node 3 (and 120 times more since 34 s)"
    clock.now += 30
    quiet = line("Unable connect to node %s", 4)
    assert repeats.filter(quiet)
    assert quiet.getMessage() == "Unable connect to node 4"


def test_other_messages_and_other_loggers_have_their_own_turn() -> None:
    repeats = RepeatFilter(timedelta(seconds=30), Clock())
    assert repeats.filter(line("one"))
    assert repeats.filter(line("two"))
    assert repeats.filter(line("one", logger="aiokafka.client"))
    assert not repeats.filter(line("one"))


def test_messages_that_hold_values_take_no_memory_for_ever() -> None:
    repeats = RepeatFilter(timedelta(seconds=30), Clock())
    tracemalloc.start()
    for number in range(1000):
        assert repeats.filter(line(f"value {number}"))
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20_000):
        assert repeats.filter(line(f"other value {number}"))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000


def test_a_loop_that_waits_says_so_once_and_then_how_often() -> None:
    clock = Clock()
    waiting = WaitingFilter(timedelta(seconds=30), clock)
    assert waiting(None, "warning", {"event": "relay.waiting", "error": "no Kafka"}) == {
        "event": "relay.waiting",
        "error": "no Kafka",
    }
    for _ in range(60):
        clock.now += 0.4
        with pytest.raises(structlog.DropEvent):
            waiting(None, "warning", {"event": "relay.waiting", "error": "no Kafka", "requests": 7})
    other = {"event": "relay.waiting", "error": "no database"}
    assert waiting(None, "warning", other) == {"event": "relay.waiting", "error": "no database"}
    clock.now += 10
    told = waiting(None, "warning", {"event": "relay.waiting", "error": "no Kafka"})
    assert told["repeated"] == 60


def test_topics_have_their_own_turn_and_other_events_are_never_left_out() -> None:
    waiting = WaitingFilter(timedelta(seconds=30), Clock())
    for topic in ("dataset.days", "dataset.requests"):
        assert waiting(None, "warning", {"event": "kafka.commit_failed", "topic": topic})
    with pytest.raises(structlog.DropEvent):
        waiting(None, "warning", {"event": "kafka.commit_failed", "topic": "dataset.days"})
    for _ in range(2):
        assert waiting(None, "info", {"event": "day.finished"})
