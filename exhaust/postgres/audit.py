"""The table audit: who did what to what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from exhaust.postgres.database import PLAN_FOR_VALUES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

# The function sets the time and the database's role itself; services may not write the table.
_RECORD: Final = "SELECT record_audit($1, $2, $3, $4)"
_FIND: Final = """
SELECT id, at, actor, action, subject, detail, database_user FROM audit
WHERE ($1::text IS NULL OR actor = $1)
  AND ($2::text IS NULL OR action = $2)
  AND ($3::text IS NULL OR subject = $3)
  AND ($4::timestamptz IS NULL OR at >= $4)
  AND ($5::timestamptz IS NULL OR at < $5)
  AND ($6::bigint IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7
"""
# One statement: of several processes that ask at once, one writes and the others find its row. In the order of the key,
# so that no two wait for one another.
_DOWNLOADS: Final = """
WITH due AS (
    INSERT INTO audited_downloads AS a (request_id, user_id, attempt, action, part)
    SELECT DISTINCT r.request_id, l.user_id, r.attempt, $1::text, $2::text
    FROM unnest($3::bigint[], $4::uuid[]) AS l (user_id, request_id) JOIN requests r USING (request_id)
    ORDER BY r.request_id, l.user_id
    ON CONFLICT (request_id, user_id, attempt, action, part) DO UPDATE SET recorded_at = now()
    WHERE a.recorded_at <= now() - $5::interval
    RETURNING request_id, user_id, attempt
)
SELECT record_audit(
    'user/' || user_id, $1, 'request/' || request_id,
    jsonb_strip_nulls(jsonb_build_object('attempt', attempt, 'part', nullif($2, '')))
) FROM due
"""

# The database itself makes the lines, so that an export says all that a row holds.
_OLDEST: Final = """
SELECT id, row_to_json(a)::text AS line FROM (SELECT * FROM audit ORDER BY id LIMIT $2) a
WHERE at < now() - $1::interval ORDER BY id
"""
_DELETE: Final = "DELETE FROM audit WHERE id = ANY($1)"
_COUNT: Final = "SELECT count(*) FILTER (WHERE at < now() - $1::interval) AS old, count(*) AS all FROM audit"


class Action(StrEnum):
    """The actions that the audit records."""

    REGISTER = "register"
    ROTATE = "rotate"
    REVOKE = "revoke"
    CONFIRM = "confirm"
    SIGN_IN = "sign-in"
    GRANT = "grant"
    UNGRANT = "ungrant"
    BIND = "bind"
    UNBIND = "unbind"
    SUBMIT = "submit"
    UPDATE_STATUS = "update"
    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"
    DOWNLOAD = "download"
    DOWNLOAD_LINK = "download-link"
    ERASE = "erase"
    PAUSE = "pause"
    RESUME = "resume"
    REDRIVE = "redrive"
    SHOW_LETTER = "show-letter"
    WEBHOOK_CREATE = "webhook-create"
    WEBHOOK_CHANGE = "webhook-change"
    WEBHOOK_DELETE = "webhook-delete"
    WEBHOOK_ROTATE = "webhook-rotate"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A recorded action.

    Attributes:
        number: grows with each entry.
        actor: the user, operator or service that acted: user/7, operator/DATABASE USER/NAME, service/NAME or public.
        subject: the user, request or resource that it was done to, such as user/7 or request/<id>.
        database_user: the database's role that wrote the entry; None before it was recorded.
    """

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    database_user: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The conditions of a search in the audit; None sets no condition.

    Attributes:
        since: the earliest time.
        until: the time before which entries lie.
        before: the number below which entries lie; the last number of a page gives the next page.
        limit: the most entries to return.
    """

    actor: str | None = None
    action: Action | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


async def record_action(
    connection: Connection, *, actor: str, action: str, subject: str, detail: Mapping[str, object]
) -> None:
    """Record an action, in the transaction that carries it out.

    Args:
        connection: the action's transaction.
        actor: as in an entry, but operator/NAME of an operator: the database puts its own user before the name.
        action: register, grant, submit, … (see Action).
        subject: as in an entry.
        detail: more about it; never a secret.
    """
    await connection.execute(_RECORD, actor, action, subject, detail)


async def record_downloads(
    database: Database,
    action: Action,
    pairs: Sequence[tuple[int, UUID]],
    *,
    again_after: timedelta,
    part: str = "",
) -> int:
    """Record what users (by id) received of requests (by id), a row for each pair; return how many rows were written.

    Args:
        database: with the status service's role.
        action: DOWNLOAD, or DOWNLOAD_LINK.
        pairs: of a user and a request.
        again_after: nothing is recorded of a pair and the present attempt that was recorded so lately, by any process.
        part: of the download; empty for the whole.
    """
    users, requests = zip(*pairs, strict=True)
    return len(await database.fetch(_DOWNLOADS, action, part, users, requests, again_after))


async def find_audit_entries(database: Database, wanted: AuditFilter) -> list[AuditEntry]:
    """Return the entries that meet all conditions, newest first."""
    async with database.transaction() as connection:
        await connection.execute(PLAN_FOR_VALUES)  # the best index depends on the conditions that are set
        rows = await connection.fetch(
            _FIND,
            wanted.actor,
            wanted.action,
            wanted.subject,
            wanted.since,
            wanted.until,
            wanted.before,
            wanted.limit,
        )
    return [AuditEntry(*row.values()) for row in rows]


async def oldest_entries(database: Database, *, older_than: timedelta, limit: int) -> dict[int, str]:
    """Return the oldest entries beyond an age as JSON, by their numbers: all that a row holds."""
    rows = await database.fetch(_OLDEST, older_than, limit)
    return {row["id"]: row["line"] for row in rows}


async def delete_entries(connection: Connection, numbers: Collection[int]) -> int:
    """Delete entries, with the rights of the owner; return how many there were."""
    return await connection.execute(_DELETE, numbers)


async def count_old_entries(database: Database, older_than: timedelta) -> tuple[int, int]:
    """Return how many entries are beyond an age, and how many there are, with the rights of the owner."""
    row = await database.fetch_one(_COUNT, older_than)
    return (row["old"], row["all"]) if row else (0, 0)
