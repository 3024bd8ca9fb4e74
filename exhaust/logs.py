"""Structured logs and trace context, the same in every process."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structlog.typing import EventDict, WrappedLogger

# W3C Trace Context, 3.2: version 00, trace id, parent id, flags; all-zero ids are invalid.
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

REPEAT_INTERVAL: Final = timedelta(seconds=30)
_MAX_MESSAGES: Final = 1000  # some libraries write values into the message itself
_LEVELS: Final = {"exception": "error", "warn": "warning"}  # by the method that was called
# The lines of loops that try again, besides those whose name ends in ".waiting".
_WAITING: Final = frozenset(
    {"kafka.connect_failed", "kafka.commit_failed", "kafka.offsets_unknown", "kafka.fetch_failed"}
)

REFUSED: Final = "request.refused"
_BY_A_LIMIT: Final = "RATE_LIMITED"

_NO_IDS: Final[Mapping[str, object]] = {}
_IDS: Final[ContextVar[Mapping[str, object]]] = ContextVar("ids in every line of a task", default=_NO_IDS)


class _Repeats:
    """Remembers when a line was last written, and how often it was left out since."""

    def __init__(self, interval: timedelta, clock: Callable[[], float]) -> None:
        self._interval = interval.total_seconds()
        self._clock = clock
        self._told: dict[object, tuple[float, int]] = {}

    def turn_of(self, line: object) -> tuple[int, float] | None:
        """Return None to leave a line out; else how often it was left out, and in how many seconds."""
        told_at, left_out = self._told.get(line, (-self._interval, 0))
        now = self._clock()
        if now - told_at < self._interval:
            self._told[line] = (told_at, left_out + 1)
            return None
        if len(self._told) >= _MAX_MESSAGES:
            self._told.clear()
        self._told[line] = (now, 0)
        return left_out, now - told_at


class RepeatFilter(logging.Filter):
    """A filter that lets the same message of a library through once in an interval, with the count of those between.

    Messages are the same when they come from the same logger and differ only by their arguments.
    """

    def __init__(self, interval: timedelta = REPEAT_INTERVAL, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._repeats = _Repeats(interval, clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True for a line that is to be written."""
        turn = self._repeats.turn_of((record.name, record.msg))
        if turn is None:
            return False
        left_out, seconds = turn
        if left_out:
            record.msg = f"{record.getMessage()} (and {left_out} times more since {seconds:.0f} s)"
            record.args = ()
        return True


class WaitingFilter:
    """A processor that lets a line of ours that says that something waits through once in an interval.

    Such a line is written at each turn of a loop, and a server may be away for hours. Lines are the same when event,
    topic and error are. `repeated` counts those between. Refusals by a limit are treated likewise, since a caller may
    make as many as the wire carries.
    """

    def __init__(self, interval: timedelta = REPEAT_INTERVAL, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeats = _Repeats(interval, clock)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return the line.

        Raises:
            structlog.DropEvent: it is left out.
        """
        name = str(event["event"])
        if name == REFUSED:
            if event.get("code") != _BY_A_LIMIT:
                return event
        elif not name.endswith(".waiting") and name not in _WAITING:
            return event
        turn = self._repeats.turn_of((name, str(event.get("topic")), str(event.get("error"))))
        if turn is None:
            raise structlog.DropEvent
        if turn[0]:
            event["repeated"] = turn[0]
        return event


def configure_logging(service: str, level: str) -> None:
    """Log JSON lines to standard output, including the warnings of libraries.

    A line of ours names its event in `event`. One of a library has its prose in `message`, and in `logger` who speaks.

    Args:
        service: name of the process, in every line.
        level: DEBUG, INFO, WARNING or ERROR.
    """

    def add_common(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Add what every line has; one function for all, since every call waits for its lines."""
        return {
            **_IDS.get(),
            **event,
            "level": _LEVELS.get(method, method),
            "timestamp": datetime.now(UTC),
            "service": service,
        }

    structlog.configure(
        processors=[WaitingFilter(), add_common, structlog.processors.format_exc_info, _json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, add_common],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                # Prose of a library is no event of ours: who searches for an event finds our lines alone.
                structlog.processors.EventRenamer("message"),
                lambda *event: _json(*event).decode(),
            ],
        )
    )
    # While a server is away, the drivers tell it a hundred times a second.
    handler.addFilter(RepeatFilter())
    # Libraries speak only of trouble: their INFO lines would drown ours.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def traceparent_from(header: str | None) -> str:
    """Return the trace context of the caller when it is valid, else a new one (W3C Trace Context, 3.2)."""
    if header and _TRACEPARENT.fullmatch(header):
        return header
    drawn = secrets.token_hex(24)  # at once: each draw is a call of the kernel
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


def valid_traceparent(text: str) -> str:
    """Return a trace context as it is when it is valid, else an empty text, which stands for none."""
    return text if _TRACEPARENT.fullmatch(text) else ""


def bind_trace(traceparent: str, **ids: object) -> None:
    """Add these ids to every following log line of this task."""
    _IDS.set({"trace_id": trace_id_of(traceparent), **ids})


def trace_id_of(traceparent: str) -> str:
    """Return the trace id of a trace context, or an empty text when it is not valid."""
    return traceparent[3:35] if _TRACEPARENT.fullmatch(traceparent) else ""
