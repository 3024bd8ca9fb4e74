"""Builders of events. What is built again of the same happening is the same event, and counts once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from exhaust_contract.checking import TOPIC, check
from exhaust_contract.documents import KINDS

_NAMESPACE: Final = uuid5(NAMESPACE_URL, f"urn:telemetry-exhaust:{TOPIC}")
_TYPES: Final = {kind.name: kind.type for kind in KINDS}


@dataclass(frozen=True)
class Event:
    """A record to send to `topic`, with any client of Kafka.

    Attributes:
        key: all events of a request have the same, so that they stay in order.
        value: JSON.
        headers: a CloudEvent in binary mode.
    """

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    topic: str = TOPIC

    @property
    def id(self) -> str:
        """The ce_id."""
        return dict(self.headers)["ce_id"].decode()


@dataclass(frozen=True)
class Day:
    """A day that is finished.

    Attributes:
        day: the day.
        events: how many were selected; 0 for an empty day.
        bytes: of the selected lines, uncompressed.
        unreadable: lines that are no event.
        reused: its archive existed before.
    """

    day: date
    events: int
    bytes: int
    unreadable: int = 0
    reused: bool = False


def progressed(
    request: UUID | str,
    attempt: int,
    *,
    source: str,
    daystotal: int,
    day: Day | None = None,
    time: datetime | None = None,
    traceparent: str = "",
) -> Event:
    """Build the report that work goes on.

    Args:
        request: the id in the record of dataset.requests.
        attempt: as there.
        source: who reports: the dataset's executor, such as /spark.
        daystotal: how many days the request has.
        day: one more that is finished.
        time: when it happened; now unless given.
        traceparent: W3C trace context.

    Raises:
        RefusedEventError: it would be refused.
    """
    said: dict[str, Any] = {"daystotal": daystotal}
    if day is not None:
        said["day"] = {
            "day": day.day.isoformat(),
            "state": "ok" if day.events else "empty",
            "events": day.events,
            "bytes": day.bytes,
            "unreadable": day.unreadable,
            "reused": day.reused,
        }
    of_day = day.day.isoformat() if day else ""
    return _event("progress", "inprogress", request, attempt, said, _Frame(source, of_day, time, traceparent))


def completed(
    request: UUID | str,
    attempt: int,
    *,
    source: str,
    key: str,
    size: int,
    sha256: str,
    events: int,
    bytes: int,  # the name in the event
    time: datetime | None = None,
    traceparent: str = "",
) -> Event:
    """Build the report that the download is in the store.

    Args:
        request: the id in the record of dataset.requests.
        attempt: as there.
        source: who reports: the dataset's executor, such as /spark.
        key: of the object: a plain name right under requests/<request id>/attempt-<n>/.
        size: of the object, in bytes.
        sha256: of the object, 64 hex digits; it is the digest too.
        events: how many are in it.
        bytes: of their lines, uncompressed.
        time: when it happened; now unless given.
        traceparent: W3C trace context.

    Raises:
        RefusedEventError: it would be refused.
    """
    archive = {"key": key, "size": size, "digest": sha256, "sha256": sha256, "events": events, "bytes": bytes}
    return _event(
        "completed", "complete", request, attempt, {"archive": archive}, _Frame(source, "", time, traceparent)
    )


def failed(
    request: UUID | str,
    attempt: int,
    *,
    source: str,
    code: str,
    message: str,
    day: date | None = None,
    time: datetime | None = None,
    traceparent: str = "",
) -> Event:
    """Build the report that the attempt ended without a download.

    Args:
        request: the id in the record of dataset.requests.
        attempt: as there.
        source: who reports: the dataset's executor, such as /spark.
        code: why, in one word. Partners are shown it if it is one of theirs.
        message: why, in a sentence for operators.
        day: the day that failed.
        time: when it happened; now unless given.
        traceparent: W3C trace context.

    Raises:
        RefusedEventError: it would be refused.
    """
    of_day = day.isoformat() if day else ""
    error = {"code": code, "message": message} | ({"day": of_day} if of_day else {})
    return _event("failed", "failed", request, attempt, {"error": error}, _Frame(source, of_day, time, traceparent))


def event_id(source: str, request: str, attempt: int, status: str, day: str = "") -> str:
    """Return the ce_id of a happening, the same whenever it is told.

    Args:
        source: who tells it.
        request: its id, in lower case.
        attempt: of the request.
        status: as the value has it.
        day: that it speaks of, or empty.
    """
    return str(uuid5(_NAMESPACE, "\n".join([source, request, str(attempt), status, day])))


@dataclass(frozen=True)
class _Frame:
    source: str
    day: str
    time: datetime | None
    traceparent: str


def _event(name: str, status: str, request: UUID | str, attempt: int, said: dict[str, Any], frame: _Frame) -> Event:
    id_of_request = str(request).lower()
    value = {"requestid": id_of_request, "attempt": attempt, "status": status} | said
    headers = {
        "ce_specversion": "1.0",
        "ce_type": _TYPES[name],
        "ce_source": frame.source,
        "ce_id": event_id(frame.source, id_of_request, attempt, status, frame.day),
        "ce_time": (frame.time or datetime.now(timezone.utc)).isoformat(),
        "content-type": "application/json",
        "traceparent": frame.traceparent,
    }
    event = Event(
        key=id_of_request.encode(),
        value=json.dumps(value, separators=(",", ":")).encode(),
        headers=tuple((header, text.encode()) for header, text in headers.items() if text),
    )
    check(event.headers, event.value)
    return event
