"""The erasure of a client, or of what a user name submitted, in batches and with the rights of the owner.

Every step is safe to repeat. What a step removed is recorded in the audit, in the transaction that removes it, so that
a run after a kill knows what earlier runs did. The names of a client go last: until then it can be found.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from exhaust.domain.state_machine import MAX_ATTEMPTS
from exhaust.postgres.audit import Action, record_action

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database

_DETAILS: Final = ("client", "key", "username", "issuer", "subject")  # of audit entries, which may name somebody
_COMPLETE: Final = "complete"

_FIND_USERS: Final = "SELECT id FROM data_exhaust_users WHERE client_name = $1 ORDER BY id"
# Of a failed request other days may still be worked on, as long as their messages are kept.
_WORKED_ON: Final = """
SELECT request_id FROM requests
WHERE (user_id = ANY($1::bigint[]) OR username = $2::text)
  AND (state IN ('submitted', 'inprogress') OR state = 'failed' AND ended_at > now() - interval '7 days')
"""
# Workers need some time to see that a request is cancelled, and may write until then.
_ENDED: Final = """
SELECT request_id, least(attempt, $4) AS attempts, ended_at > now() - interval '7 days' AS lately FROM requests
WHERE (user_id = ANY($1::bigint[]) OR username = $2::text) AND state NOT IN ('submitted', 'inprogress')
  AND (state::text <> 'cancelled' OR ended_at < now() - interval '2 minutes')
  AND NOT (state = 'failed' AND ended_at > now() - interval '7 days')
LIMIT $3
"""
_DELETE_OF_REQUESTS: Final = {
    "request_days": "DELETE FROM request_days WHERE request_id = ANY($1)",
    "outbox": "DELETE FROM outbox WHERE request_id = ANY($1)",
    "webhook_deliveries": "DELETE FROM webhook_deliveries WHERE request_id = ANY($1)",
    "idempotency_keys": "DELETE FROM idempotency_keys WHERE request_id = ANY($1)",
    "requests": "DELETE FROM requests WHERE request_id = ANY($1)",
}
_DELETE_OF_USERS: Final = {
    "webhooks": "DELETE FROM webhooks WHERE user_id = ANY($1)",
    "idempotency_keys": "DELETE FROM idempotency_keys WHERE user_id = ANY($1)",
    "grants": "DELETE FROM data_exhaust_users_resources WHERE user_id = ANY($1)",
    "portal_sessions": "DELETE FROM portal_sessions WHERE user_id = ANY($1)",
    "token_subjects": "DELETE FROM token_subjects WHERE user_id = ANY($1)",
    "key_usage": "DELETE FROM key_usage WHERE user_id = ANY($1)",
}
_REVOKE: Final = "UPDATE license_keys SET revoked_at = now() WHERE user_id = ANY($1) AND revoked_at IS NULL"
_BLANK_NAMES: Final = """
UPDATE data_exhaust_users
SET client_name = 'erased-' || id, license_key_name = 'erased', revoked_at = coalesce(revoked_at, now()),
    license_key_hash = NULL, pepper_version = NULL, name_look_alike = NULL, name_case = NULL
WHERE id = ANY($1)
"""
_PSEUDONYMISE: Final = """
UPDATE audit SET detail = detail || (
    SELECT jsonb_object_agg(name, 'erased') FROM unnest($3::text[]) AS name WHERE detail ? name
)
WHERE id >= $4 AND id < $5
  AND (actor = ANY($1::text[]) OR subject = ANY($1::text[]) OR detail ->> 'username' = $2::text)
  AND EXISTS (SELECT FROM unnest($3::text[]) AS name WHERE detail ->> name <> 'erased')
"""
_EXTENT: Final = "SELECT coalesce(min(id), 0) AS first, coalesce(max(id), 0) AS last FROM audit"
_RECORDED: Final = "SELECT detail FROM audit WHERE subject = $1 ORDER BY id"
_LATEST: Final = "SELECT detail FROM audit WHERE subject = $1 ORDER BY id DESC LIMIT 1"
_COUNT: Final = """
SELECT count(*) AS requests, count(*) FILTER (WHERE state IN ('submitted', 'inprogress')) AS open
FROM requests WHERE user_id = ANY($1::bigint[]) OR username = $2::text
"""
_COUNT_AUDIT: Final = """
SELECT count(*) AS entries FROM audit
WHERE (actor = ANY($1::text[]) OR subject = ANY($1::text[]) OR detail ->> 'username' = $2::text)
  AND EXISTS (SELECT FROM unnest($3::text[]) AS name WHERE detail ->> name <> 'erased')
"""


@dataclass(frozen=True, slots=True)
class EndedRequest:
    """A request that has ended.

    Attributes:
        attempts: those whose messages workers may still read; none long after its end.
    """

    request_id: UUID
    attempts: range


@dataclass(frozen=True, slots=True)
class ErasedSubject:
    """Whose data is erased: a client with its users, or a user name. The other one is None."""

    client: str | None
    username: str | None
    users: Sequence[int] = field(default=())

    @property
    def mark(self) -> str:
        """The subject of the erasure in the audit, which does not tell the name."""
        name = f"client:{self.client}" if self.client is not None else f"username:{self.username}"
        return f"erasure/{hashlib.sha256(name.encode()).hexdigest()[:16]}"

    @property
    def audit_names(self) -> list[str]:
        """Return the users as the audit names them."""
        return [f"user/{user}" for user in self.users]

    @property
    def blanked(self) -> Sequence[str]:
        """Return the details of audit entries that are blanked."""
        return _DETAILS if self.client is not None else ("username",)


async def find_subject(database: Database, *, client: str | None, username: str | None) -> ErasedSubject:
    """Return a client or a user name with the users that belong to it; a client that does not exist has none."""
    rows = await database.fetch(_FIND_USERS, client) if client is not None else []
    return ErasedSubject(client, username, [row["id"] for row in rows])


async def count_of_subject(database: Database, subject: ErasedSubject) -> dict[str, int]:
    """Return how much there is to erase."""
    requests = await database.fetch_one(_COUNT, subject.users, subject.username)
    named = await database.fetch_one(_COUNT_AUDIT, subject.audit_names, subject.username, subject.blanked)
    if requests is None or named is None:
        raise LookupError("a count has a row")
    return {
        "users": len(subject.users),
        "requests": requests["requests"],
        "open requests": requests["open"],
        "audit entries": named["entries"],
    }


async def requests_worked_on(database: Database, subject: ErasedSubject) -> list[UUID]:
    """Return the requests on which somebody may work."""
    return [row["request_id"] for row in await database.fetch(_WORKED_ON, subject.users, subject.username)]


async def ended_requests(database: Database, subject: ErasedSubject, *, limit: int) -> list[EndedRequest]:
    """Return some requests that nobody works on any more."""
    rows = await database.fetch(_ENDED, subject.users, subject.username, limit, MAX_ATTEMPTS)
    return [EndedRequest(row["request_id"], range(1, row["attempts"] + 1 if row["lately"] else 1)) for row in rows]


async def delete_requests(
    database: Database, subject: ErasedSubject, requests: Sequence[UUID], *, objects: int, actor: str
) -> None:
    """Delete requests and all rows of theirs.

    Args:
        database: with the owner's role.
        subject: whose they are.
        requests: that have ended, and whose objects are deleted.
        objects: how many these were.
        actor: as in an audit entry.
    """
    async with database.transaction() as connection:
        removed = {what: await connection.execute(sql, requests) for what, sql in _DELETE_OF_REQUESTS.items()}
        await _record(connection, subject, removed | {"objects": objects}, actor)


async def revoke_keys(database: Database, subject: ErasedSubject, *, actor: str) -> None:
    """Revoke the client's license keys, so that nothing new comes."""
    async with database.transaction() as connection:
        await _record(
            connection, subject, {"license keys revoked": await connection.execute(_REVOKE, subject.users)}, actor
        )


async def blank_users(database: Database, subject: ErasedSubject, *, actor: str) -> None:
    """Delete what the client's users have, and blank their names. From now on the client is not found any more."""
    async with database.transaction() as connection:
        removed = {what: await connection.execute(sql, subject.users) for what, sql in _DELETE_OF_USERS.items()}
        removed["users blanked"] = await connection.execute(_BLANK_NAMES, subject.users)
        await _record(connection, subject, removed, actor)


async def pseudonymise_audit(database: Database, subject: ErasedSubject, *, batch: int, actor: str) -> None:
    """Blank the names in entries of the audit about the subject, so many entries at a time. The entries stay."""
    extent = await database.fetch_one(_EXTENT)
    first, last = (extent["first"], extent["last"]) if extent else (0, 0)
    for start in range(first, last + 1, batch):
        async with database.transaction() as connection:
            blanked = await connection.execute(
                _PSEUDONYMISE, subject.audit_names, subject.username, subject.blanked, start, start + batch
            )
            if blanked:
                await _record(connection, subject, {"audit entries blanked": blanked}, actor)


async def is_unfinished(database: Database, subject: ErasedSubject) -> bool:
    """Return True when an erasure of the subject began and has not been completed."""
    row = await database.fetch_one(_LATEST, subject.mark)
    return row is not None and _COMPLETE not in row["detail"]


async def complete_erasure(database: Database, subject: ErasedSubject, *, actor: str) -> dict[str, int]:
    """Record that the erasure is complete, and return what it and its runs before did."""
    async with database.transaction() as connection:
        total: Counter[str] = Counter()
        for row in await connection.fetch(_RECORDED, subject.mark):
            if _COMPLETE in row["detail"]:
                total.clear()  # of an erasure before this one
            else:
                total.update(row["detail"])
        await _record(connection, subject, {_COMPLETE: 1}, actor)
    return dict(total)


async def _record(connection: Connection, subject: ErasedSubject, removed: dict[str, int], actor: str) -> None:
    counted = {what: count for what, count in removed.items() if count}
    if not counted:
        return
    await record_action(
        connection,
        actor=actor,
        action=Action.ERASE,
        subject=subject.mark,
        detail=counted,
    )
