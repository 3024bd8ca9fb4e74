"""Everything that the tables know of one request, for operators who ask where it is and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.days import DayRange
from exhaust.domain.state_machine import State
from exhaust.postgres.audit import AuditEntry
from exhaust.postgres.pauses import PAUSE_COLUMNS, Pause, pause_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database, Row

MAX_ACTS: Final = 200
MAX_LETTERS: Final = 20
_REQUEST: Final = """
SELECT r.request_id, r.partner_id, coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner, r.dataset_id,
       r.resource, r.tags, r.synchronous, r.state, r.attempt, r.outcome, r.parked_reason, now() AS now,
       readable_date(r.from_date) AS from_date, readable_date(r.to_date) AS to_date,
       readable_time(r.created_at) AS created_at, readable_time(r.moved_at) AS moved_at,
       readable_time(r.ended_at) AS ended_at, readable_time(r.parked_at) AS parked_at,
       readable_time(r.released_at) AS released_at, readable_time(r.planned_at) AS planned_at,
       readable_time(r.first_day_at) AS first_day_at, readable_time(r.last_day_at) AS last_day_at,
       o.created_at AS waiting_since,
       CASE WHEN o.claimed_until > now() THEN o.claimed_until END AS claimed_until
FROM requests r LEFT JOIN outbox o ON (o.request_id, o.attempt) = (r.request_id, r.attempt)
WHERE r.request_id = $1
"""
# The order of releases within a partner, as outbox.py has it. What is paused takes no turn. Requests of version 0.1.0
# have no resource of their partner.
_TURN: Final = """
SELECT turn FROM (
    SELECT r.request_id, row_number() OVER (
        ORDER BY r.synchronous DESC, readable_date(r.to_date) - readable_date(r.from_date), o.created_at
    ) AS turn
    FROM outbox o JOIN requests r USING (request_id)
    WHERE r.state IN ('submitted', 'inprogress') AND r.parked_at IS NULL
      AND (r.partner_resource = $2 OR r.partner_resource = '' AND r.partner_id = $2)
      AND (o.claimed_until IS NULL OR o.claimed_until <= now())
      AND NOT EXISTS (
          SELECT FROM pauses u WHERE (u.kind, u.name) IN (('partner', $2), ('dataset', r.dataset_id))
      )
) waiting WHERE request_id = $1
"""
_AT_WORK: Final = """
SELECT r.request_id, greatest(
    readable_date(r.to_date) - readable_date(r.from_date) + 1
    - (SELECT count(*) FROM request_days d WHERE d.request_id = r.request_id AND d.attempt = r.attempt), 0
)::bigint AS days_left
FROM requests r
WHERE r.state IN ('submitted', 'inprogress') AND r.parked_at IS NULL
  AND (r.partner_resource = $1 OR r.partner_resource = '' AND r.partner_id = $1)
  AND NOT EXISTS (
      SELECT FROM outbox o WHERE o.request_id = r.request_id AND (o.claimed_until IS NULL OR o.claimed_until <= now())
  )
ORDER BY days_left, r.moved_at, r.request_id
"""
_DAYS: Final = "SELECT attempt, day, events, bytes FROM request_days WHERE request_id = $1 ORDER BY day, attempt"
_ACTS: Final = """
SELECT id, at, actor, action, subject, detail, database_user FROM audit WHERE subject = $1 ORDER BY id DESC LIMIT $2
"""
_PAUSES: Final = f"{PAUSE_COLUMNS} WHERE (kind, name) IN (('partner', $1), ('dataset', $2)) ORDER BY kind DESC"
_LETTERS: Final = """
SELECT kafka_partition || '/' || kafka_offset AS letter, code, state, written_at FROM dead_letters
WHERE request_id = $1 ORDER BY written_at DESC NULLS LAST LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A request of the same partner that is released and has not ended.

    Attributes:
        days_left: that are not finished yet.
    """

    request_id: UUID
    days_left: int


@dataclass(frozen=True, slots=True)
class StoryDay:
    """A day that an attempt has finished."""

    attempt: int
    day: date
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoryLetter:
    """A dead letter about the request."""

    letter: str
    code: str
    state: str
    written_at: datetime | None


@dataclass(frozen=True, slots=True)
class RequestStory:
    """Everything that is known of a request.

    Attributes:
        partner_id: as submitted.
        moved_at: its last sign of progress.
        ended_at: when it ended; None before.
        parked_at: since when nobody can handle it; None when somebody can.
        released_at: when Kafka had its present attempt; None when that is not known, as of this and the next three.
        planned_at: when it was first reported as split into days.
        first_day_at: when the first of its days was reported as finished.
        last_day_at: when the last one was.
        waiting_since: since when it waits in the outbox; None when it does not.
        claimed_until: until when a gateway has it in hand to publish it; None when none has.
        turn: its place among those of its partner that wait; None when it does not wait, or is paused.
        at_work: the partner's requests that are released and have not ended, that with the fewest days left first.
        pauses: of its partner, and of its dataset.
        days: finished ones, of all attempts.
        acts: what the audit has of it, the oldest first.
        letters: dead letters about it, the latest first.
        seen_at: when all this was looked at, by the clock of the database.
    """

    request_id: UUID
    partner_id: str
    dataset: str
    resource: str
    asked: DayRange
    tags: tuple[str, ...]
    synchronous: bool
    state: State
    attempt: int
    outcome: Mapping[str, Any]
    created_at: datetime
    moved_at: datetime
    ended_at: datetime | None
    parked_at: datetime | None
    parked_reason: str | None
    released_at: datetime | None
    planned_at: datetime | None
    first_day_at: datetime | None
    last_day_at: datetime | None
    waiting_since: datetime | None
    claimed_until: datetime | None
    turn: int | None
    at_work: tuple[AtWork, ...]
    pauses: tuple[Pause, ...]
    days: tuple[StoryDay, ...]
    acts: tuple[AuditEntry, ...]
    letters: tuple[StoryLetter, ...]
    seen_at: datetime


async def find_request_story(database: Database, request_id: UUID) -> RequestStory | None:
    """Return what is known of a request, or None when there is no such request.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    async with database.transaction() as connection:
        row = await connection.fetch_one(_REQUEST, request_id)
        return None if row is None else await _story(connection, row)


async def _story(connection: Connection, row: Row) -> RequestStory:
    request_id, partner = row["request_id"], row["partner"]
    waits = row["waiting_since"] is not None
    turn = await connection.fetch_one(_TURN, request_id, partner) if waits else None
    at_work = await connection.fetch(_AT_WORK, partner) if waits else []
    letters = await connection.fetch(_LETTERS, request_id, MAX_LETTERS)
    acts = await connection.fetch(_ACTS, f"request/{request_id}", MAX_ACTS)
    return RequestStory(
        request_id=request_id,
        partner_id=row["partner_id"],
        dataset=row["dataset_id"],
        resource=row["resource"],
        asked=DayRange(row["from_date"], row["to_date"]),
        tags=tuple(row["tags"]),
        synchronous=row["synchronous"],
        state=State(row["state"]),
        attempt=row["attempt"],
        outcome=row["outcome"] if isinstance(row["outcome"], dict) else {},
        created_at=row["created_at"],
        moved_at=row["moved_at"],
        ended_at=row["ended_at"],
        parked_at=row["parked_at"],
        parked_reason=row["parked_reason"],
        released_at=row["released_at"],
        planned_at=row["planned_at"],
        first_day_at=row["first_day_at"],
        last_day_at=row["last_day_at"],
        waiting_since=row["waiting_since"],
        claimed_until=row["claimed_until"],
        turn=turn["turn"] if turn else None,
        at_work=tuple(AtWork(*found.values()) for found in at_work),
        pauses=tuple(pause_of(found) for found in await connection.fetch(_PAUSES, partner, row["dataset_id"])),
        days=tuple(StoryDay(*found.values()) for found in await connection.fetch(_DAYS, request_id)),
        acts=tuple(AuditEntry(*found.values()) for found in reversed(acts)),
        letters=tuple(StoryLetter(*found.values()) for found in letters),
        seen_at=row["now"],
    )
