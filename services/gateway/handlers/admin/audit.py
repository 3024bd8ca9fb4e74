"""POST /v1/admin/audit: an operator reads the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from schemas.bodies import Body, OptionalNumber, ShortText
from services.gateway.handlers.admin.fields import optional_text, optional_time

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.database import Database

DEFAULT_LIMIT: Final = 100


class AuditBody(Body):
    """The body of a search in the audit: a filter and a page."""

    actor: ShortText = None
    action: ShortText = None
    subject: ShortText = None
    since: ShortText = None
    until: ShortText = None
    before: OptionalNumber = Field(None, ge=1, lt=2**63)
    limit: OptionalNumber = Field(None, ge=1, le=1000)


class AuditHandler:
    """Searches the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, call: Call[AuditBody]) -> Answer:
        """Answer a page of acts, newest first; `next` is the `before` of the next page."""
        wanted = _filter(call.body)
        acts = await find_audit_entries(self._database, wanted)
        described = [
            {
                "number": act.number,
                "at": act.at.isoformat(),
                "actor": act.actor,
                "action": act.action,
                "subject": act.subject,
                "detail": act.detail,
                "databaseUser": act.database_user,
            }
            for act in acts
        ]
        return Answer({"acts": described, "next": acts[-1].number if len(acts) == wanted.limit else None})


def _filter(body: AuditBody) -> AuditFilter:
    if body.action and body.action not in set(Action):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/action must be one of {', '.join(Action)}")
    return AuditFilter(
        actor=optional_text(body.actor, "actor"),
        action=Action(body.action) if body.action else None,
        subject=optional_text(body.subject, "subject"),
        since=optional_time(body.since, "since"),
        until=optional_time(body.until, "until"),
        before=body.before,
        limit=body.limit or DEFAULT_LIMIT,
    )
