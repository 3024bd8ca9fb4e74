"""The handlers of status and list calls, for users that the gateway has authenticated."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.disconnects import until_disconnected
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import require_text
from exhaust.postgres.request_views import FIRST_PAGE, PageCursor
from schemas.operations import MAX_WAIT, USER_HEADER, StatusRead, parse_user_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exhaust.http.endpoint import Call
    from exhaust.postgres.request_views import RequestView
    from schemas.bodies import Body, EmptyBody
    from schemas.operations import ReadAnswer, ReadFailure, StatusesBody
    from services.status.answers import AnswerBuilder
    from services.status.archive_check import PartialDownload
    from services.status.link_audit import LinkAudit
    from services.status.outlooks import Outlook, Outlooks
    from services.status.partial_downloads import PartialDownloads
    from services.status.request_reader import RequestReader

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50


class StatusCalls:
    """Answers status and list calls."""

    def __init__(
        self,
        reader: RequestReader,
        answers: AnswerBuilder,
        partials: PartialDownloads,
        links: LinkAudit,
        outlooks: Outlooks,
    ) -> None:
        self._reader = reader
        self._answers = answers
        self._partials = partials
        self._links = links
        self._outlooks = outlooks

    async def status(self, call: Call[EmptyBody]) -> Answer:
        """Answer with one request; with `?wait=30` when it has ended, or after so many seconds."""
        read = StatusRead(caller_of(call), parse_request_id(call.path("requestid")))
        wait = timedelta(seconds=_number(call, "wait", default=0, least=0, most=int(MAX_WAIT.total_seconds())))
        view = await until_disconnected(call.http, self._reader.read_when_ended(read, wait))
        return Answer(await self.build(read.user_id, view))

    async def build(self, user_id: int, view: RequestView) -> dict[str, object]:
        """Return the status of a request for a user who may see it, and record the links in it."""
        partials = await self._find_partials([view])
        await self._record_links([(user_id, view)], partials)
        outlooks = await self._outlooks.find([view])
        return await self._answers.build_status(view, partials.get(view.request_id), outlooks.get(view.request_id))

    async def statuses(self, call: Call[StatusesBody]) -> Answer:
        """Answer with several requests, each for its own reader: a result or an error each, in the order asked."""
        reads = call.body.status_reads()
        views = await self._reader.read(reads)
        pairs = zip(reads, views, strict=True)
        shown = [(read.user_id, view) for read, view in pairs if not isinstance(view, ExhaustError)]
        found = [view for _, view in shown]
        partials = await self._find_partials(found)
        await self._record_links(shown, partials)
        outlooks = await self._outlooks.find(found)
        return Answer({"answers": [await self._answer(view, partials, outlooks) for view in views]})

    async def page(self, call: Call[EmptyBody]) -> Answer:
        """Answer with a page of a partner's requests that the user may read, newest first: `?limit=50&next=…`."""
        partner_id = require_text(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid")
        return await self._page(call, partner_id)

    async def page_of_all(self, call: Call[EmptyBody]) -> Answer:
        """Answer with a page of the requests of every partner for whom the user may act, as `page` does."""
        return await self._page(call, None)

    async def _page(self, call: Call[EmptyBody], partner_id: str | None) -> Answer:
        user_id = caller_of(call)
        views, more = await self._reader.read_page(
            partner_id,
            user_id=user_id,
            after=_page_cursor(call.http.query.get("next")),
            limit=_number(call, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
        )
        await self._record_links([(user_id, view) for view in views], {})
        outlooks = await self._outlooks.find(views)
        entries = []
        for view in views:
            entries.append(await self._answers.build_entry(view, outlooks.get(view.request_id)))
            await asyncio.sleep(0)  # signing takes a millisecond of the processor; others are answered in between
        result: dict[str, object] = {"requests": entries}
        if more is not None:
            result["next"] = _cursor_text(more)
        return Answer(result)

    async def _answer(
        self,
        view: RequestView | ExhaustError,
        partials: Mapping[UUID, PartialDownload],
        outlooks: Mapping[UUID, Outlook],
    ) -> ReadAnswer | ReadFailure:
        if isinstance(view, ExhaustError):
            return {"err": view.code, "errmsg": view.message}
        request_id = view.request_id
        return {"result": await self._answers.build_status(view, partials.get(request_id), outlooks.get(request_id))}

    async def _find_partials(self, views: Sequence[RequestView]) -> Mapping[UUID, PartialDownload]:
        candidates = [view for view in views if self._answers.may_have_partial(view)]
        return await self._partials.find(candidates) if candidates else {}

    async def _record_links(
        self, shown: Sequence[tuple[int, RequestView]], partials: Mapping[UUID, PartialDownload]
    ) -> None:
        linked = [
            (user_id, view.request_id, view.attempt)
            for user_id, view in shown
            if self._answers.has_link(view) or view.request_id in partials
        ]
        await self._links.record(linked)


def caller_of(call: Call[Body]) -> int:
    """Return the id of the user whom the gateway has authenticated.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when the call names none.
    """
    user_id = parse_user_id(call.http.headers.get(USER_HEADER, ""))
    if user_id is None:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {USER_HEADER} must be a user id")
    return user_id


def _number(call: Call[Body], name: str, *, default: int, least: int, most: int) -> int:
    text = call.http.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not least <= int(text) <= most:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"{name} must be a number from {least} to {most}")
    return int(text)


def _cursor_text(cursor: PageCursor) -> str:
    return base64.urlsafe_b64encode(f"{cursor.created_at.isoformat()} {cursor.request_id}".encode()).decode()


def _page_cursor(text: str | None) -> PageCursor:
    if text is None:
        return FIRST_PAGE
    try:
        written, _, request_id = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
        created_at = datetime.fromisoformat(written)
        if created_at.tzinfo is not None:
            return PageCursor(created_at.astimezone(UTC), UUID(request_id))
    except (ValueError, OverflowError):
        pass
    raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "next must be the value that the last page gave")
