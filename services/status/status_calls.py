"""Status and list, for callers that the gateway has authenticated."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from exhaust.envelope import CALLER_HEADER, Operation, required
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http_edge import Answer
from exhaust.requests import parse_request_id, unknown_request
from services.status.request_views import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.grant_store import GrantStore
    from exhaust.http_edge import Call
    from services.status.answers import Answers
    from services.status.changes import Changes
    from services.status.request_views import RequestView, RequestViews

STATUS: Final = Operation("ekstep.data_exhaust_dataset_request_status_service", "2.0")
LIST: Final = Operation("ekstep.data_exhaust_dataset_requests_service", "2.0")
MAX_WAIT_S: Final = 30
MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
LOOK_AGAIN_S: Final = 1.0  # another replica may have taken the news in
_USER_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class StatusCalls:
    """Answers how requests stand."""

    def __init__(self, views: RequestViews, grants: GrantStore, answers: Answers, changes: Changes) -> None:
        self._views = views
        self._grants = grants
        self._answers = answers
        self._changes = changes

    async def status(self, call: Call) -> Answer:
        """One request. With `?wait=30` the answer comes when it has ended, or after so many seconds."""
        user_id = _caller(call)
        request_id = parse_request_id(call.path("requestid"))
        deadline = time.monotonic() + _number(call, "wait", default=0, least=0, most=MAX_WAIT_S)
        while True:
            view = await self._views.one(request_id)
            if view is None or not await self._may_see(user_id, view):
                raise unknown_request()
            left = deadline - time.monotonic()
            if view.state.is_terminal or left <= 0:
                await self._note_links(user_id, [view])
                return Answer(await self._answers.status(view))
            await self._changes.wait(request_id, min(left, LOOK_AGAIN_S))

    async def list(self, call: Call) -> Answer:
        """A partner's requests that the caller may read, newest first, in pages: `?limit=50&next=…`."""
        user_id = _caller(call)
        views, more = await self._views.of_partner(
            required(call.path("partnerid"), ErrorCode.MISSING_PARTNERID, "partnerid"),
            user_id=user_id,
            after=_place(call.http.query.get("next")),
            limit=_number(call, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
        )
        await self._note_links(user_id, views)
        result: dict[str, object] = {"requests": [await self._answers.entry(view) for view in views]}
        if more is not None:
            result["next"] = _cursor(more)
        return Answer(result)

    async def _note_links(self, user_id: int, views: Sequence[RequestView]) -> None:
        linked = [view.request_id for view in views if self._answers.has_link(view)]
        if linked:
            await self._views.note_links(user_id, linked)

    async def _may_see(self, user_id: int, view: RequestView) -> bool:
        """Whether the caller acts for the request's partner and may read its resource.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, when it is the caller's own request and a grant was withdrawn since.
        """
        rights = await self._grants.rights(
            user_id, partner_id=view.partner_id, resource=view.resource, dataset=view.dataset
        )
        if rights.acts_for_partner and rights.may_read:
            return True
        if user_id == view.user_id:
            raise ExhaustError(
                ErrorCode.AUTHORIZATION_FAILED, "the grant on this request's partner or resource was withdrawn"
            )
        return False


def _caller(call: Call) -> int:
    caller = call.http.headers.get(CALLER_HEADER, "")
    if not _USER_ID.fullmatch(caller):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {CALLER_HEADER} must be a user id")
    return int(caller)


def _number(call: Call, name: str, *, default: int, least: int, most: int) -> int:
    text = call.http.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not least <= int(text) <= most:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"{name} must be a number from {least} to {most}")
    return int(text)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.created_at.isoformat()} {place.request_id}".encode()).decode()


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        written, _, request_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        created_at = datetime.fromisoformat(written)
        if created_at.tzinfo is not None:
            return Place(created_at.astimezone(UTC), UUID(request_id))
    except (ValueError, OverflowError):
        pass
    raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "next must be the value that the last page gave")
