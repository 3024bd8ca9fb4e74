"""The only code that moves a request's state: completion events in, standing out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from exhaust import outbox
from exhaust.archive.keys import request_prefix
from exhaust.errors import ErrorCode
from exhaust.requests import Standing, State
from schemas.events import Completed, Failed, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.postgres import Connection, Database

Completion = Progress | Completed | Failed

_TAKE_IN: Final = "INSERT INTO inbox (source, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_LOCK: Final = """
SELECT attempt, state, outcome, from_date, to_date FROM requests WHERE request_id = $1 FOR UPDATE
"""
# Different counts for one day end alike in any order: the greater stays.
_FINISH_DAY: Final = """
INSERT INTO request_days AS d (request_id, attempt, day, events, bytes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (request_id, attempt, day) DO UPDATE SET events = EXCLUDED.events, bytes = EXCLUDED.bytes
WHERE (EXCLUDED.events, EXCLUDED.bytes) > (d.events, d.bytes)
"""
_MOVE: Final = """
UPDATE requests SET attempt = $2, state = $3::request_state, outcome = $4, moved_at = now(), ended_at = CASE
    WHEN $3::request_state NOT IN ('complete', 'failed') THEN NULL
    WHEN attempt = $2 AND state = $3::request_state THEN ended_at
    ELSE now() END
WHERE request_id = $1
"""
_READ: Final = """
SELECT r.*, d.days_done, d.events, d.bytes
FROM requests r, LATERAL (
    SELECT count(*) AS days_done, coalesce(sum(events), 0)::bigint AS events, coalesce(sum(bytes), 0)::bigint AS bytes
    FROM request_days d WHERE d.request_id = r.request_id AND d.attempt = r.attempt
) d
WHERE r.request_id = $1
"""
_STUCK: Final = """
SELECT request_id, attempt FROM requests r
WHERE state IN ('submitted', 'inprogress') AND moved_at < now() - $1::interval
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
ORDER BY moved_at LIMIT 100 FOR UPDATE SKIP LOCKED
"""
_TRY_AGAIN: Final = """
UPDATE requests SET attempt = attempt + 1, state = 'submitted', moved_at = now() WHERE request_id = $1
"""
# A name that stays in its folder, whatever reads it.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", re.ASCII)


class RefusedCompletionError(Exception):
    """A completion event that must not count: its request is unknown, or it names a foreign object."""


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """What is known of a request now.

    Attributes:
        outcome: the archive (key, size, sha256, events, bytes) when complete, the error (code, message, …) when
            failed, else None.
    """

    user_id: int
    partner_id: str
    dataset: str
    resource: str
    first: str
    last: str
    state: State
    attempt: int
    days_done: int
    days_total: int
    events: int
    bytes: int
    outcome: Mapping[str, Any] | None


class RequestStates:
    """The states of all requests, in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_in(self, source: str, event_id: str, completion: Completion) -> None:
        """Let an event count, once.

        Raises:
            RefusedCompletionError: it must not count.
            ExhaustError: SERVICE_UNAVAILABLE; nothing was written.
        """
        async with self._database.transaction() as connection:
            if not await connection.execute(_TAKE_IN, source, event_id):
                return
            row = await connection.fetch_one(_LOCK, completion.requestid)
            if row is None:
                raise RefusedCompletionError(f"there is no request {completion.requestid}")
            if isinstance(completion, Progress) and completion.day is not None:
                day = completion.day
                if not row["from_date"] <= day.day <= row["to_date"]:
                    raise RefusedCompletionError(f"{day.day} is no day of request {completion.requestid}")
                await connection.execute(
                    _FINISH_DAY, completion.requestid, completion.attempt, day.day, day.events, day.bytes
                )
            current = Standing(row["attempt"], State(row["state"]), _canonical(row["outcome"]))
            standing = current.advanced_by(_reported(completion))
            if completion.attempt == standing.attempt:  # news of an earlier attempt are no sign of progress
                await _move(connection, completion, standing)

    async def read(self, request_id: UUID) -> RequestStatus | None:
        """What is known of a request; None when there is none."""
        row = await self._database.fetch_one(_READ, request_id)
        if row is None:
            return None
        state = State(row["state"])
        return RequestStatus(
            user_id=row["user_id"],
            partner_id=row["partner_id"],
            dataset=row["dataset_id"],
            resource=row["resource"],
            first=row["from_date"].isoformat(),
            last=row["to_date"].isoformat(),
            state=state,
            attempt=row["attempt"],
            # A job elsewhere may complete a request without reporting days.
            days_done=row["days_total"] if state is State.COMPLETE else row["days_done"],
            days_total=row["days_total"],
            events=row["events"],
            bytes=row["bytes"],
            outcome=row["outcome"],
        )

    async def reap(self, *, no_progress_after: timedelta, max_attempts: int) -> tuple[int, int]:
        """Try requests again that show no progress, and fail them after the last attempt: every request ends.

        Returns:
            How many are tried again, how many failed.
        """
        again = failed = 0
        async with self._database.transaction() as connection:
            for row in await connection.fetch(_STUCK, no_progress_after):
                if row["attempt"] < max_attempts:
                    await connection.execute(_TRY_AGAIN, row["request_id"])
                    await outbox.put(connection, row["request_id"], row["attempt"] + 1, "")
                    again += 1
                else:
                    error = {
                        "code": ErrorCode.NO_PROGRESS,
                        "message": f"no progress in {max_attempts} attempts; submit it again, or tell the operators",
                    }
                    await connection.execute(_MOVE, row["request_id"], row["attempt"], State.FAILED, error)
                    failed += 1
        return again, failed


def _reported(completion: Completion) -> Standing:
    match completion:
        case Progress():
            return Standing(completion.attempt, State.INPROGRESS)
        case Completed():
            prefix = request_prefix(completion.requestid, completion.attempt)
            name = completion.archive.key.removeprefix(prefix)
            if name == completion.archive.key or not _PLAIN_NAME.fullmatch(name):
                raise RefusedCompletionError(f"the archive of request {completion.requestid} lies outside its prefix")
            return Standing(completion.attempt, State.COMPLETE, _canonical(completion.archive.model_dump(mode="json")))
        case Failed():
            return Standing(
                completion.attempt,
                State.FAILED,
                _canonical(completion.error.model_dump(mode="json", exclude_none=True)),
            )


async def _move(connection: Connection, completion: Completion, standing: Standing) -> None:
    outcome = orjson.loads(standing.detail) if standing.detail else None
    await connection.execute(_MOVE, completion.requestid, standing.attempt, standing.state, outcome)


def _canonical(outcome: Mapping[str, Any] | None) -> str:
    return orjson.dumps(outcome, option=orjson.OPT_SORT_KEYS).decode() if outcome else ""
