"""The tables of requests and their finished days, as the status service moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest
from exhaust.domain.state_machine import State, StateVersion
from exhaust.errors import ErrorCode
from exhaust.postgres.key_usage import COUNT_BUILT_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database, Row

# The attempt of days that were reported after theirs was cancelled: they are no progress, and their quota is used.
AFTER_CANCEL: Final = 0

_FIND: Final = """
SELECT request_id, attempt, state, outcome, dataset_id, resource, tags, readable_time(ended_at) AS ended_at,
       readable_date(from_date) AS from_date, readable_date(to_date) AS to_date, deleted_at IS NOT NULL AS deleted
FROM requests WHERE request_id = $1
"""
_LOCK: Final = f"{_FIND} FOR UPDATE"
# Different counts for one day end alike in any order: the greater stays.
_RECORD_DAY: Final = """
INSERT INTO request_days AS d (request_id, attempt, day, events, bytes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (request_id, attempt, day) DO UPDATE SET events = EXCLUDED.events, bytes = EXCLUDED.bytes
WHERE (EXCLUDED.events, EXCLUDED.bytes) > (d.events, d.bytes)
"""
_RECORD_BUILT_DAY: Final = f"WITH recorded AS ({_RECORD_DAY}) {COUNT_BUILT_DAY}"
_MOVE: Final = """
UPDATE requests SET attempt = $2, state = $3::request_state, outcome = $4, moved_at = now(), ended_at = CASE
    WHEN $3::request_state NOT IN ('complete', 'failed', 'cancelled') THEN NULL
    WHEN attempt = $2 AND state = $3::request_state THEN ended_at
    ELSE now() END,
    -- A new attempt begins at the outbox again.
    released_at = CASE WHEN attempt = $2 THEN released_at END,
    planned_at = CASE WHEN attempt = $2 AND $3::request_state <> 'submitted' THEN coalesce(planned_at, now()) END,
    first_day_at = CASE WHEN attempt = $2 AND d.done > 0 THEN coalesce(first_day_at, now()) END,
    last_day_at = CASE WHEN attempt = $2 AND d.done >= days_total THEN coalesce(last_day_at, now()) END
FROM (SELECT count(*) AS done FROM request_days f WHERE f.request_id = $1 AND f.attempt = $2) d
WHERE request_id = $1
RETURNING dataset_id, readable_time(ended_at) AS ended_at, now() - readable_time(created_at) AS age
"""
# SKIP LOCKED: concurrent reapers do not block one another.
_LOCK_STUCK: Final = """
SELECT request_id, attempt, state FROM requests r
WHERE state IN ('submitted', 'inprogress') AND moved_at < now() - $1::interval AND parked_at IS NULL
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
ORDER BY moved_at LIMIT 100 FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class StandingRequest:
    """A request as it stands. Of one that is locked, nobody else moves the state until the transaction ends.

    Attributes:
        attempt: the latest that was started.
        outcome: the archive of a complete request, the error of a failed or cancelled one, else None.
        ended_at: when it reached a terminal state; None before.
        deleted: its partner has deleted it.
    """

    asked: DatasetRequest
    attempt: int
    state: State
    outcome: Mapping[str, Any] | None
    ended_at: datetime | None
    deleted: bool = False

    @property
    def version(self) -> StateVersion:
        """The version of the state in which it stands."""
        return StateVersion.of(self.attempt, self.state, self.outcome)


@dataclass(frozen=True, slots=True)
class StuckRequest:
    """An unfinished request without progress, locked until the transaction ends."""

    request_id: UUID
    version: StateVersion


@dataclass(frozen=True, slots=True)
class EndedRequest:
    """A request that has just ended.

    Attributes:
        outcome: complete, failed or cancelled.
        code: of a failed or cancelled one; empty of a complete one.
        after: the time since it was submitted.
    """

    request_id: UUID
    dataset: str
    outcome: str
    code: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class MovedRequest:
    """A request whose state was written.

    Attributes:
        version: that was written.
        ended_at: the time of its end, which is that of the first report of it; None when it has not ended.
        age: the time since it was submitted.
    """

    request_id: UUID
    version: StateVersion
    dataset: str
    ended_at: datetime | None
    age: timedelta

    def end_after(self, present: StateVersion) -> EndedRequest | None:
        """Return its end, if this move was it: its state was another before."""
        state = self.version.state
        if not state.is_terminal or (present.attempt, present.state) == (self.version.attempt, state):
            return None
        codes = {State.FAILED: self.version.failure and self.version.failure.code, State.CANCELLED: ErrorCode.CANCELLED}
        return EndedRequest(self.request_id, self.dataset, state.value, str(codes.get(state) or ""), self.age)


async def find_request(database: Database, request_id: UUID) -> StandingRequest | None:
    """Return a request as it stands now, or None when there is no such request."""
    row = await database.fetch_one(_FIND, request_id)
    return _standing(row) if row else None


async def lock_request(connection: Connection, request_id: UUID) -> StandingRequest | None:
    """Lock a request for the rest of the transaction; return None when there is no such request."""
    row = await connection.fetch_one(_LOCK, request_id)
    return _standing(row) if row else None


async def record_day(
    connection: Connection, request_id: UUID, attempt: int, day: date, *, events: int, size: int, built: bool
) -> None:
    """Record a finished day of an attempt; of two reports for one day the greater counts.

    What was built counts for the user's quota, once, however often and in however many attempts it is reported.

    Args:
        connection: a transaction that holds the request's lock.
        request_id: the request.
        attempt: that finished the day, or AFTER_CANCEL.
        day: one of the request's days.
        events: in the day's archive.
        size: bytes of them.
        built: its archive did not exist before.
    """
    await connection.execute(_RECORD_BUILT_DAY if built else _RECORD_DAY, request_id, attempt, day, events, size)


async def move_request(
    connection: Connection, request_id: UUID, version: StateVersion, outcome: Mapping[str, Any] | None
) -> MovedRequest:
    """Write a request's state, which is progress.

    Args:
        connection: a transaction that holds the request's lock.
        request_id: the request.
        version: the new one, or the present one.
        outcome: the archive of a complete request, the error of a failed or cancelled one, else None.

    Raises:
        UniqueConflictError: an identical request is in progress, and this one has ended before.
    """
    row = await connection.fetch_one(_MOVE, request_id, version.attempt, version.state, outcome)
    if row is None:
        raise LookupError("the row of a request that is locked does not vanish")
    return MovedRequest(request_id, version, row["dataset_id"], row["ended_at"], row["age"])


async def lock_stuck_requests(connection: Connection, no_progress_after: timedelta) -> list[StuckRequest]:
    """Lock unfinished, released requests without progress in that time: at most 100, the oldest first."""
    rows = await connection.fetch(_LOCK_STUCK, no_progress_after)
    return [StuckRequest(row["request_id"], StateVersion(row["attempt"], State(row["state"]))) for row in rows]


def _standing(row: Row) -> StandingRequest:
    asked = DatasetRequest(
        row["request_id"],
        row["dataset_id"],
        row["resource"],
        DayRange(row["from_date"], row["to_date"]),
        tuple(row["tags"]),
    )
    return StandingRequest(asked, row["attempt"], State(row["state"]), row["outcome"], row["ended_at"], row["deleted"])
