"""The only code that moves a request's state: completion events in, standing out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from exhaust.domain.object_keys import attempt_prefix
from exhaust.domain.requests import Standing, State
from exhaust.errors import ErrorCode
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, record_action
from schemas.events import Completed, Failed, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

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
            row = await _locked(connection, completion.requestid)
            if isinstance(completion, Progress) and completion.day is not None:
                day = completion.day
                if not row["from_date"] <= day.day <= row["to_date"]:
                    raise RefusedCompletionError(f"{day.day} is no day of request {completion.requestid}")
                await connection.execute(
                    _FINISH_DAY, completion.requestid, completion.attempt, day.day, day.events, day.bytes
                )
            await _advance(connection, completion.requestid, row, _reported(completion))

    async def update(self, request_id: UUID, state: State, outcome: Mapping[str, Any] | None) -> None:
        """Let the word of a job that aggregates elsewhere count, for the present attempt. Repeating it changes nothing.

        Args:
            request_id: the request.
            state: INPROGRESS, COMPLETE or FAILED.
            outcome: the archive (key, size) when complete, the error (code, message) when failed, else None.

        Raises:
            RefusedCompletionError: there is no such request.
        """
        async with self._database.transaction() as connection:
            row = await _locked(connection, request_id)
            reported = Standing(row["attempt"], state, _canonical(outcome))
            await _advance(connection, request_id, row, reported)
            await record_action(
                connection,
                actor="service",
                action=Action.UPDATE,
                subject=f"request/{request_id}",
                detail={"status": state.wire},
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
            prefix = attempt_prefix(completion.requestid, completion.attempt)
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


async def _locked(connection: Connection, request_id: UUID) -> Mapping[str, Any]:
    row = await connection.fetch_one(_LOCK, request_id)
    if row is None:
        raise RefusedCompletionError(f"there is no request {request_id}")
    return row


async def _advance(connection: Connection, request_id: UUID, row: Mapping[str, Any], reported: Standing) -> None:
    current = Standing(row["attempt"], State(row["state"]), _canonical(row["outcome"]))
    standing = current.advanced_by(reported)
    if reported.attempt == standing.attempt:  # news of an earlier attempt are no sign of progress
        outcome = orjson.loads(standing.detail) if standing.detail else None
        await connection.execute(_MOVE, request_id, standing.attempt, standing.state, outcome)


def _canonical(outcome: Mapping[str, Any] | None) -> str:
    return orjson.dumps(outcome, option=orjson.OPT_SORT_KEYS).decode() if outcome else ""
