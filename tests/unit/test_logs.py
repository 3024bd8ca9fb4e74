"""Log lines that repeat, of libraries and of loops that wait: the first at once, then a count."""

import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

import orjson
import pytest
import structlog

from exhaust.errors import ErrorCode
from exhaust.logs import RepeatFilter, WaitingFilter, bind_trace, configure_logging


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


def test_refusals_by_a_limit_are_told_once_and_counted_and_all_others_each() -> None:
    clock = Clock()
    waiting = WaitingFilter(timedelta(seconds=30), clock)
    limited = {"event": "request.refused", "code": ErrorCode.RATE_LIMITED, "status": 429}
    assert waiting(None, "info", dict(limited))
    for _ in range(500):
        clock.now += 0.01
        with pytest.raises(structlog.DropEvent):
            waiting(None, "info", dict(limited))
    for _ in range(3):
        assert waiting(None, "info", {"event": "request.refused", "code": ErrorCode.LOGIN_FAILED, "status": 401})
    clock.now += 30
    assert waiting(None, "info", dict(limited))["repeated"] == 500


def lines_of(stream: TextIO, *, trace: str = "") -> list[dict[str, Any]]:
    """What is logged of one line of ours, one of a library, and one of each with a traceback."""
    with redirect_stdout(stream):
        configure_logging("test", "INFO")
        bind_trace(f"00-{trace}-{'b' * 16}-01" if trace else "", request_id="r1")
        structlog.get_logger().info("request.accepted", dataset="d")
        logging.getLogger("aiokafka.conn").error("Unable connect to node %s", 1)
        try:
            int("gone")
        except ValueError:
            structlog.get_logger().exception("http.failed")
            logging.getLogger("asyncio").exception("Task exception was never retrieved")
    stream.flush()
    stream.seek(0)
    return [orjson.loads(line) for line in stream]


@pytest.fixture
def _logging() -> Iterator[None]:
    """Logging as it was, after a test that has configured it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=handlers, level=level, force=True)
    bind_trace("")


@pytest.mark.usefixtures("_logging")
def test_prose_of_a_library_is_a_message_of_its_logger_and_no_event(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as stream:
        ours, driver, failed, task = lines_of(stream, trace="a" * 32)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "request.accepted",
        "dataset": "d",
        "request_id": "r1",
        "trace_id": "a" * 32,
        "level": "info",
        "service": "test",
    }
    assert (driver["logger"], driver["message"], driver["level"]) == (
        "aiokafka.conn",
        "Unable connect to node 1",
        "error",
    )
    assert (task["logger"], task["message"]) == ("asyncio", "Task exception was never retrieved")
    assert "event" not in driver | task
    assert (failed["event"], failed["level"], driver["service"]) == ("http.failed", "error", "test")
    assert all("ValueError: invalid literal" in line["exception"] for line in (failed, task))
