"""Status and list, for callers that the gateway has authenticated."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from exhaust.domain.requests import parse_request_id, unknown_request
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import required
from exhaust.postgres.grants import Wanted
from schemas.operations import MAX_WAIT, USER_HEADER, StatusRead, parse_user_id
from services.status.request_views import BEFORE_ALL, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.http.endpoint import Call
    from exhaust.postgres.grants import GrantStore, Rights
    from schemas.bodies import Body, EmptyBody
    from schemas.operations import ReadAnswer, ReadFailure, StatusesBody
    from services.status.answers import Answers
    from services.status.changes import Changes
    from services.status.request_views import RequestView, RequestViews

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
LOOK_AGAIN_S: Final = 1.0  # another replica may have taken the news in


class StatusCalls:
    """Answers how requests stand."""

    def __init__(self, views: RequestViews, grants: GrantStore, answers: Answers, changes: Changes) -> None:
        self._views = views
        self._grants = grants
        self._answers = answers
        self._changes = changes

    async def status(self, call: Call[EmptyBody]) -> Answer:
        """One request. With `?wait=30` the answer comes when it has ended, or after so many seconds."""
        user_id = _caller(call)
        request_id = parse_request_id(call.path("requestid"))
        deadline = time.monotonic() + _number(call, "wait", default=0, least=0, most=int(MAX_WAIT.total_seconds()))
        while True:
            (view,) = await self._look([StatusRead(user_id, request_id)])
            if isinstance(view, ExhaustError):
                raise view
            left = deadline - time.monotonic()
            if view.state.is_terminal or left <= 0:
                await self._note_links([(user_id, view)])
                return Answer(await self._answers.status(view))
            await self._changes.wait(request_id, min(left, LOOK_AGAIN_S))

    async def statuses(self, call: Call[StatusesBody]) -> Answer:
        """Several requests as they stand, each for its own reader: a result or an error each, in the order asked."""
        reads = call.body.status_reads()
        views = await self._look(reads)
        pairs = zip(reads, views, strict=True)
        await self._note_links([(read.user_id, view) for read, view in pairs if not isinstance(view, ExhaustError)])
        return Answer({"answers": [await self._answer(view) for view in views]})

    async def _answer(self, view: RequestView | ExhaustError) -> ReadAnswer | ReadFailure:
        if isinstance(view, ExhaustError):
            return {"err": view.code, "errmsg": view.message}
        return {"result": await self._answers.status(view)}

    async def page(self, call: Call[EmptyBody]) -> Answer:
        """A partner's requests that the caller may read, newest first, in pages: `?limit=50&next=…`."""
        user_id = _caller(call)
        views, more = await self._views.of_partner(
            required(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid"),
            user_id=user_id,
            after=_place(call.http.query.get("next")),
            limit=_number(call, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
        )
        await self._note_links([(user_id, view) for view in views])
        result: dict[str, object] = {"requests": [await self._answers.entry(view) for view in views]}
        if more is not None:
            result["next"] = _cursor(more)
        return Answer(result)

    async def _note_links(self, shown: Sequence[tuple[int, RequestView]]) -> None:
        linked = [(user_id, view.request_id) for user_id, view in shown if self._answers.has_link(view)]
        if linked:
            await self._views.note_links(linked)

    async def _look(self, reads: Sequence[StatusRead]) -> list[RequestView | ExhaustError]:
        """Each request as it stands, or why its reader (by user id) may not see it."""
        known = await self._views.by_id({read.request_id for read in reads})
        wanted = {
            read: Wanted(read.user_id, view.partner_id, view.resource, view.dataset)
            for read in reads
            if (view := known.get(read.request_id))
        }
        rights = dict(zip(wanted, await self._grants.rights(list(wanted.values())), strict=True))
        return [_visible(read.user_id, known.get(read.request_id), rights.get(read)) for read in reads]


def _visible(user_id: int, view: RequestView | None, rights: Rights | None) -> RequestView | ExhaustError:
    """A request, to a user who acts for its partner and may read its resource."""
    if view is None or rights is None:
        return unknown_request()
    if rights.acts_for_partner and rights.may_read:
        return view
    if user_id == view.user_id:
        return ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED, "the grant on this request's partner or resource was withdrawn"
        )
    return unknown_request()


def _caller(call: Call[Body]) -> int:
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


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.created_at.isoformat()} {place.request_id}".encode()).decode()


def _place(cursor: str | None) -> Place:
    if cursor is None:
        return BEFORE_ALL
    try:
        written, _, request_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        created_at = datetime.fromisoformat(written)
        if created_at.tzinfo is not None:
            return Place(created_at.astimezone(UTC), UUID(request_id))
    except (ValueError, OverflowError):
        pass
    raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "next must be the value that the last page gave")
