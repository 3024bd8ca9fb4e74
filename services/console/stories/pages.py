"""The pages of this folder: their addresses, their templates, and where their documents come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.console.pages import Page
from services.console.stories.audit import AuditQuery, audit_document
from services.console.stories.days import DaysQuery, days_document
from services.console.stories.dead_letters import (
    EachLetterQuery,
    LettersQuery,
    causes_document,
    letters_document,
)
from services.console.stories.request import request_document
from services.console.stories.requests import RequestsQuery, requests_document

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.database import Database
    from services.console.pages import Document
    from services.console.stories.days import RawObjects


@dataclass(frozen=True, slots=True)
class Stories:
    """What the pages are read from.

    Attributes:
        max_in_flight: released and unfinished requests that a partner may have.
    """

    database: Database
    raw: RawObjects
    catalogue: Catalogue
    max_in_flight: int

    async def requests(self, request: web.Request) -> Document:
        """Return the page of requests."""
        return await requests_document(self.database, self.catalogue, request.query)

    async def request(self, request: web.Request) -> Document:
        """Return the page of one request."""
        named = request.match_info["request"]
        return await request_document(self.database, self.catalogue, named, max_in_flight=self.max_in_flight)

    async def causes(self, request: web.Request) -> Document:
        """Return the page of the causes of dead letters."""
        return await causes_document(self.database, request.query)

    async def letters(self, request: web.Request) -> Document:
        """Return the page of single dead letters."""
        return await letters_document(self.database, request.query)

    async def days(self, request: web.Request) -> Document:
        """Return the page of days."""
        return await days_document(self.database, self.raw, self.catalogue, request.query)

    async def audit(self, request: web.Request) -> Document:
        """Return the page of the audit."""
        return await audit_document(self.database, request.query)


def story_pages(stories: Stories) -> list[Page]:
    """Build the pages, in the order of the navigation."""
    return [
        Page("/requests", "Requests", "requests.html", stories.requests, RequestsQuery.names()),
        Page("/requests/{request}", "", "request.html", stories.request),
        Page("/dead-letters", "Dead letters", "dead_letters.html", stories.causes, LettersQuery.names()),
        Page("/dead-letters/records", "", "dead_letter_records.html", stories.letters, EachLetterQuery.names()),
        Page("/days", "Days", "days.html", stories.days, DaysQuery.names()),
        Page("/audit", "Audit", "audit.html", stories.audit, AuditQuery.names()),
    ]
