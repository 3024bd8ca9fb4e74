"""The page of the audit: who did what to what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from exhaust.operations.listings import audit_row, written
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from services.console.reading import Reading
from services.console.stories.query import Moment, Query, Text, read_query

if TYPE_CHECKING:
    from multidict import MultiMapping

    from exhaust.postgres.database import Database

PAGE: Final = 100
_MOST: Final = 2**63 - 1  # a bigint


class AuditQuery(Query):
    """The parameters: those of `exhaustctl audit`, and the number of the last entry of the page before."""

    actor: Text | None = None
    action: Action | None = None
    subject: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    next: Annotated[int | None, Field(ge=1, le=_MOST)] = None


async def audit_document(database: Database, query: MultiMapping[str]) -> dict[str, Any]:
    """Return the page as JSON, the newest entry first.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    asked = read_query(query, AuditQuery)
    wanted = AuditFilter(
        asked.actor, asked.action, asked.subject, asked.since, asked.until, before=asked.next, limit=PAGE + 1
    )
    reading = Reading()
    found = await reading.see(find_audit_entries(database, wanted), "the audit")
    return {
        "at": written(datetime.now(UTC)),
        "unseen": reading.unseen,
        "asked": {name: query.get(name, "") for name in sorted(AuditQuery.names() - {"next"})},
        "actions": [str(action) for action in Action],
        "entries": None if found is None else [audit_row(entry) for entry in found[:PAGE]],
        "next": found[PAGE - 1].number if found and len(found) > PAGE else None,
    }
