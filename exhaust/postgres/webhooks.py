"""The table webhooks: where the holders of license keys want to be told of what happens.

Only its owner sees a webhook: all others find that there is none. Its secrets are sealed before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, record_action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from exhaust.postgres.database import Connection, Database, Row

MAX_WEBHOOKS: Final = 10  # of one holder
OVERLAP: Final = timedelta(hours=24)  # for which the old secret signs too
SWITCHED_OFF: Final = "the webhook was switched off"

# One holder's registrations one after the other, so that their number is counted right.
_LOCK_HOLDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks/' || $1::bigint, 0))"
_SELECT: Final = """
SELECT webhook_id, url, events, created_at, off_since, off_reason, failing_since, old_secret_until FROM webhooks
"""
_COUNT: Final = "SELECT count(*) AS webhooks FROM webhooks WHERE user_id = $1"
_INSERT: Final = "INSERT INTO webhooks (user_id, webhook_id, url, events, secret) VALUES ($1, $2, $3, $4, $5)"
_LIST: Final = f"{_SELECT} WHERE user_id = $1 ORDER BY created_at, webhook_id"
_FIND: Final = f"{_SELECT} WHERE user_id = $1 AND webhook_id = $2"
# A webhook that is switched on begins anew. Another address has not failed yet.
_CHANGE: Final = """
UPDATE webhooks SET
    url = coalesce($3::text, url), events = coalesce($4::text[], events),
    off_since = CASE WHEN $5::boolean THEN NULL WHEN NOT $5 THEN coalesce(off_since, now()) ELSE off_since END,
    off_reason = CASE WHEN $5 THEN NULL WHEN NOT $5 THEN coalesce(off_reason, 'owner') ELSE off_reason END,
    failing_since = CASE WHEN $5 OR $3 <> url THEN NULL ELSE failing_since END,
    slow = slow AND NOT coalesce($5 OR $3 <> url, false)
WHERE user_id = $1 AND webhook_id = $2
"""
SKIP_WAITING: Final = """
UPDATE webhook_deliveries SET state = 'skipped', next_at = NULL, reason = $2
WHERE webhook_id = $1 AND next_at IS NOT NULL
"""
_ROTATE: Final = """
UPDATE webhooks SET old_secret = secret, old_secret_until = now() + $4::interval, secret = $3
WHERE user_id = $1 AND webhook_id = $2
"""
_DELETE: Final = "DELETE FROM webhooks WHERE user_id = $1 AND webhook_id = $2"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as its owner sees it.

    Attributes:
        off_since: since when it is switched off, or None.
        off_reason: owner, gone (its receiver answered 410) or failing (for days, without a success), or None.
        failing_since: the first failure after the last success, or None.
        old_secret_until: until then its former secret signs too; None when it has none.
    """

    webhook_id: UUID
    url: str
    events: tuple[str, ...]
    created_at: datetime
    off_since: datetime | None
    off_reason: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None


def unknown_webhook() -> ExhaustError:
    """Return the one error for the id of a webhook that is malformed, unknown or foreign."""
    return ExhaustError(ErrorCode.NOT_FOUND, "there is no webhook with this id; GET /v2/webhooks lists yours")


@dataclass(frozen=True, slots=True)
class WebhookOwner:
    """The webhooks of one holder of a license key, who is authenticated."""

    database: Database
    user_id: int

    async def create(self, webhook_id: UUID, *, url: str, events: Sequence[str], secret: bytes) -> Webhook:
        """Create a webhook with a sealed secret.

        Raises:
            ExhaustError: INVALID_DATA_ERROR with status 409 when the holder has as many as it may have.
        """
        async with self.database.transaction() as connection:
            await connection.execute(_LOCK_HOLDER, self.user_id)
            present = await connection.fetch_one(_COUNT, self.user_id)
            if present is None or present["webhooks"] >= MAX_WEBHOOKS:
                raise ExhaustError(
                    ErrorCode.INVALID_DATA_ERROR,
                    f"a license key has at most {MAX_WEBHOOKS} webhooks; delete one first",
                    status=409,
                )
            await connection.execute(_INSERT, self.user_id, webhook_id, url, events, secret)
            await self._record(connection, Action.WEBHOOK_CREATE, webhook_id, {"events": list(events)})
            return await self._found(connection, webhook_id)

    async def all(self) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        return [_webhook(row) for row in await self.database.fetch(_LIST, self.user_id)]

    async def find(self, webhook_id: UUID) -> Webhook:
        """Return a webhook.

        Raises:
            ExhaustError: NOT_FOUND.
        """
        return _webhook(await self.database.fetch_one(_FIND, self.user_id, webhook_id))

    async def change(
        self, webhook_id: UUID, *, url: str | None, events: Sequence[str] | None, enabled: bool | None
    ) -> Webhook:
        """Change what is not None. What waits when a webhook is switched off is skipped, and can be replayed.

        Raises:
            ExhaustError: NOT_FOUND.
        """
        async with self.database.transaction() as connection:
            await connection.execute(_CHANGE, self.user_id, webhook_id, url, events, enabled)
            webhook = await self._found(connection, webhook_id)
            if enabled is False:
                await connection.execute(SKIP_WAITING, webhook_id, SWITCHED_OFF)
            changed = {"url": url and "changed", "events": events and list(events), "enabled": enabled}
            told = {name: value for name, value in changed.items() if value is not None}
            await self._record(connection, Action.WEBHOOK_CHANGE, webhook_id, told)
        return webhook

    async def rotate(self, webhook_id: UUID, secret: bytes) -> Webhook:
        """Give a webhook a new sealed secret; the old one signs too, for OVERLAP.

        Raises:
            ExhaustError: NOT_FOUND.
        """
        async with self.database.transaction() as connection:
            await connection.execute(_ROTATE, self.user_id, webhook_id, secret, OVERLAP)
            webhook = await self._found(connection, webhook_id)
            await self._record(connection, Action.WEBHOOK_ROTATE, webhook_id, {})
        return webhook

    async def delete(self, webhook_id: UUID) -> None:
        """Delete a webhook and all that it was told.

        Raises:
            ExhaustError: NOT_FOUND.
        """
        async with self.database.transaction() as connection:
            if not await connection.execute(_DELETE, self.user_id, webhook_id):
                raise unknown_webhook()
            await self._record(connection, Action.WEBHOOK_DELETE, webhook_id, {})

    async def _found(self, connection: Connection, webhook_id: UUID) -> Webhook:
        return _webhook(await connection.fetch_one(_FIND, self.user_id, webhook_id))

    async def _record(
        self, connection: Connection, action: Action, webhook_id: UUID, detail: Mapping[str, object]
    ) -> None:
        subject = f"webhook/{webhook_id}"
        await record_action(connection, actor=f"user/{self.user_id}", action=action, subject=subject, detail=detail)


def _webhook(row: Row | None) -> Webhook:
    if row is None:
        raise unknown_webhook()
    values = dict(row)
    return Webhook(**values | {"events": tuple(values["events"])})
