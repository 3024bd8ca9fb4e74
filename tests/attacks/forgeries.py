"""Completion events that are not true, made from true ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from schemas.events import TYPE_COMPLETED, TYPE_FAILED, TYPE_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.attacks.topics import Headers

AGGREGATOR: Final = "/telemetry-exhaust/aggregator"
CODES: Final = frozenset(
    {
        *("NOT_JSON", "SCHEMA", "TYPE_MISMATCH", "UNKNOWN_REQUEST", "ATTEMPT_UNKNOWN", "NOT_YOURS", "DAY_OUTSIDE"),
        *("ARCHIVE_OUTSIDE_PREFIX", "ARCHIVE_MISSING", "ARCHIVE_DIFFERS"),
        *("RANGE_TOO_LARGE", "OWNER_MISMATCH", "UNKNOWN_DATASET"),
    }
)
_WRONG_OBJECT: Final = frozenset({"ARCHIVE_OUTSIDE_PREFIX", "ARCHIVE_DIFFERS"})
_FRAME: Final = frozenset({"SCHEMA", "NOT_YOURS"})


@dataclass(frozen=True, slots=True)
class Target:
    """A request that is attacked.

    Attributes:
        completed: the data of its true end.
        beside: other objects under its prefix with their sizes: the outcome and the day's marker.
        other: the archive of another request, as that one's true end tells it.
    """

    request_id: str
    day: str
    completed: Mapping[str, Any]
    beside: Mapping[str, int]
    other: Mapping[str, Any]

    def complete(self, **change: object) -> dict[str, Any]:
        """The true end, with another archive."""
        return {**self.completed, "archive": {**self.completed["archive"], **change}}

    def failed(self, attempt: int = 1) -> dict[str, Any]:
        return {
            "requestid": self.request_id,
            "attempt": attempt,
            "status": "failed",
            "error": {"code": "INTERNAL_ERROR", "message": "forged"},
        }

    def progress(self, day: str, attempt: int = 1) -> dict[str, Any]:
        counts = {"events": 7, "bytes": 7, "unreadable": 0, "reused": False}
        finished = {"day": day, "state": "ok", **counts}
        mine = {"requestid": self.request_id, "attempt": attempt, "status": "inprogress"}
        return {**mine, "daystotal": 1, "day": finished}

    def object_beside(self, ending: str) -> dict[str, Any]:
        """The true end, with an object of the request's own that is no archive, and its true size."""
        key = next(key for key in self.beside if key.endswith(ending))
        return self.complete(key=key, size=self.beside[key])

    def prefix(self) -> str:
        return str(self.completed["archive"]["key"]).rpartition("/")[0] + "/"


@dataclass(frozen=True, slots=True)
class Forgery:
    """One kind of untrue event.

    Attributes:
        name: in plain words.
        data: makes its value; bytes, or what is encoded as JSON; None for a record without a value.
        codes: one of them is on its dead letter; empty when it may also pass, as it changes nothing.
        type: of its frame.
        frame: headers that differ from a right frame; None takes the header away.
        claims_true_id: has the id that the true end has.
    """

    name: str
    data: Callable[[Target], object]
    codes: frozenset[str]
    type: str = TYPE_COMPLETED
    frame: tuple[tuple[str, str | None], ...] = ()
    claims_true_id: bool = False

    def value(self, target: Target) -> bytes | None:
        """The record's value."""
        data = self.data(target)
        return data if data is None or isinstance(data, bytes) else json.dumps(data).encode()

    def headers(self, target: Target) -> Headers:
        """The record's headers."""
        return frame(
            self.type,
            f"{target.request_id}/1/completed" if self.claims_true_id else f"forged/{uuid4()}",
            dict(self.frame),
        )


def frame(kind: str, event_id: str, change: Mapping[str, str | None] | None = None) -> Headers:
    """The headers of a CloudEvent in Kafka's binary mode, with some exchanged or, by None, left out."""
    headers: dict[str, str | None] = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": kind,
        "ce_source": AGGREGATOR,
        "ce_time": "2026-11-01T00:00:00+00:00",
        "content-type": "application/json",
    }
    headers |= change or {}
    return [(name, value.encode()) for name, value in headers.items() if value is not None]


def _one(code: str) -> frozenset[str]:
    return frozenset({code})


def _stranger(target: Target) -> dict[str, Any]:
    return {**target.failed(), "requestid": str(uuid4())}


_OUTSIDE, _MISSING, _DIFFERS = map(_one, ("ARCHIVE_OUTSIDE_PREFIX", "ARCHIVE_MISSING", "ARCHIVE_DIFFERS"))
_ATTEMPT, _YOURS, _SCHEMA = map(_one, ("ATTEMPT_UNKNOWN", "NOT_YOURS", "SCHEMA"))
_MISMATCH, _NOT_JSON = map(_one, ("TYPE_MISMATCH", "NOT_JSON"))

FORGERIES: Final = (
    Forgery("complete-missing-object", lambda t: t.complete(key=f"{t.prefix()}zzz.zip"), _MISSING),
    Forgery("complete-anothers-archive", lambda t: t.complete(**t.other), _OUTSIDE),
    Forgery("complete-climbing-path", lambda t: t.complete(key=f"{t.prefix()}../../{t.other['key']}"), _OUTSIDE),
    Forgery("complete-raw-object", lambda t: t.complete(key="raw/2026-11-01-1.json.gz"), _OUTSIDE),
    Forgery("complete-outcome-json", lambda t: t.object_beside("outcome.json"), _WRONG_OBJECT),
    Forgery("complete-day-marker", lambda t: t.object_beside(f"{t.day}.json"), _WRONG_OBJECT),
    Forgery("complete-other-size", lambda t: t.complete(size=t.completed["archive"]["size"] + 1), _DIFFERS),
    Forgery("complete-other-digest", lambda t: t.complete(digest="f" * 64), _DIFFERS),
    Forgery("complete-attempt-2", lambda t: {**t.complete(), "attempt": 2}, _ATTEMPT | _OUTSIDE),
    Forgery("failed-attempt-2", lambda t: t.failed(2), _ATTEMPT, TYPE_FAILED),
    Forgery("failed-attempt-500", lambda t: t.failed(500), _ATTEMPT, TYPE_FAILED),
    Forgery("failed-attempt-1000", lambda t: t.failed(1000), _ATTEMPT, TYPE_FAILED),
    Forgery("progress-attempt-3", lambda t: t.progress(t.day, 3), _ATTEMPT, TYPE_PROGRESS),
    Forgery("complete-under-type-failed", lambda t: t.complete(), _MISMATCH, TYPE_FAILED),
    Forgery("failed-under-type-completed", lambda t: t.failed(), _MISMATCH),
    Forgery("failed-under-unknown-type", lambda t: t.failed(), _MISMATCH | _SCHEMA, "org.example.ended.v1"),
    Forgery("failed-without-source", lambda t: t.failed(), _FRAME, TYPE_FAILED, (("ce_source", None),)),
    Forgery("failed-from-stranger", lambda t: t.failed(), _YOURS, TYPE_FAILED, (("ce_source", "/org.example/job"),)),
    Forgery(
        "failed-from-gateway", lambda t: t.failed(), _YOURS, TYPE_FAILED, (("ce_source", "/telemetry-exhaust/gateway"),)
    ),
    Forgery("failed-without-specversion", lambda t: t.failed(), _SCHEMA, TYPE_FAILED, (("ce_specversion", None),)),
    Forgery("failed-of-specversion-0.3", lambda t: t.failed(), _SCHEMA, TYPE_FAILED, (("ce_specversion", "0.3"),)),
    Forgery("failed-without-id", lambda t: t.failed(), _SCHEMA, TYPE_FAILED, (("ce_id", None),)),
    Forgery("progress-day-outside", lambda t: t.progress("1999-12-31"), _one("DAY_OUTSIDE"), TYPE_PROGRESS),
    Forgery("not-json", lambda _: b'{"requestid": ', _NOT_JSON),
    Forgery("no-value", lambda _: None, _one("TOMBSTONE")),
    Forgery("status-unknown", lambda t: {**t.failed(), "status": "done"}, _SCHEMA, TYPE_FAILED),
    Forgery("size-negative", lambda t: t.complete(size=-1), _SCHEMA),
    Forgery("unknown-request", _stranger, _one("UNKNOWN_REQUEST"), TYPE_FAILED),
    Forgery("complete-of-other-work", lambda t: {**t.complete(), "workid": "0" * 16}, _one("UNKNOWN_REQUEST")),
    Forgery("failed-of-other-work", lambda t: t.failed() | {"workid": "0" * 16}, _one("UNKNOWN_REQUEST"), TYPE_FAILED),
    Forgery("complete-other-counts", lambda t: t.complete(events=7), _DIFFERS),
    Forgery("complete-with-true-id", lambda t: t.complete(events=7), _DIFFERS, claims_true_id=True),
    Forgery("failed-attempt-500-with-true-id", lambda t: t.failed(500), _ATTEMPT, TYPE_FAILED, claims_true_id=True),
    Forgery("progress-with-true-id", lambda t: t.progress(t.day), frozenset(), TYPE_PROGRESS, claims_true_id=True),
)
