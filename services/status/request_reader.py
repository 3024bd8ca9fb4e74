"""The request reader: the state of requests, for callers who may see them."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.requests import partner_resource, unknown_request
from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.grants import AccessQuery
from exhaust.postgres.request_views import find_page, find_page_of_all, find_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from uuid import UUID

    from exhaust.postgres.database import Database
    from exhaust.postgres.grants import AccessRights, GrantStore
    from exhaust.postgres.request_views import PageCursor, RequestView
    from schemas.operations import StatusRead
    from services.status.change_notifier import ChangeNotifier

POLL_INTERVAL: Final = timedelta(seconds=1)  # another replica may have applied an event


class RequestReader:
    """Reads requests, and decides who may see them."""

    def __init__(self, database: Database, grants: GrantStore, changes: ChangeNotifier) -> None:
        self._database = database
        self._grants = grants
        self._changes = changes

    async def read(self, reads: Sequence[StatusRead]) -> list[RequestView | ExhaustError]:
        """Return each request, or why its reader may not see it, in the order of the reads."""
        known = await self.find({read.request_id for read in reads})
        queries = {
            read: AccessQuery(
                read.user_id, partner_resource(view.partner_id, view.resource), view.resource, view.dataset
            )
            for read in reads
            if (view := known.get(read.request_id))
        }
        rights = dict(zip(queries, await self._grants.access_rights(list(queries.values())), strict=True))
        return [_visible(read.user_id, known.get(read.request_id), rights.get(read)) for read in reads]

    async def read_when_ended(self, read: StatusRead, max_wait: timedelta) -> RequestView:
        """Return a request once it has ended, or as it is after that time.

        Raises:
            ExhaustError: the reader may not see it.
        """
        return await self.read_until(read, lambda view: view.state.is_terminal, max_wait)

    async def read_until(
        self, read: StatusRead, is_awaited: Callable[[RequestView], bool], max_wait: timedelta
    ) -> RequestView:
        """Return a request once it is as awaited, or as it is after that time.

        Raises:
            ExhaustError: the reader may not see it.
        """
        deadline = time.monotonic() + max_wait.total_seconds()
        while True:
            (view,) = await self.read([read])
            if isinstance(view, ExhaustError):
                raise view
            left = deadline - time.monotonic()
            if is_awaited(view) or left <= 0:
                return view
            await self._changes.wait(read.request_id, min(timedelta(seconds=left), POLL_INTERVAL))

    async def read_page(
        self, partner_id: str | None, *, user_id: int, after: PageCursor, limit: int
    ) -> tuple[list[RequestView], PageCursor | None]:
        """Return a page of a partner's requests that a user may read, newest first, and where it ended if more follow.

        Args:
            partner_id: as submitted; None for every partner for whom the user may act.
            user_id: the reader.
            after: where the page before ended; FIRST_PAGE for the first.
            limit: requests at most.
        """
        if partner_id is None:
            views, more = await find_page_of_all(self._database, user_id=user_id, after=after, limit=limit)
        else:
            views, more = await find_page(self._database, partner_id, user_id=user_id, after=after, limit=limit)
        return [_with_all_days(view) for view in views], more

    async def find(self, request_ids: Collection[UUID]) -> dict[UUID, RequestView]:
        """Return the requests with these ids, as far as there are any, whoever may see them."""
        found = await find_requests(self._database, request_ids)
        return {request_id: _with_all_days(view) for request_id, view in found.items()}


def _with_all_days(view: RequestView) -> RequestView:
    """Count all days of a complete request as done: an external job may complete it without reporting them."""
    if view.state is not State.COMPLETE:
        return view
    outcome = view.outcome or {}
    return replace(
        view,
        days_done=len(view.days),
        events=outcome.get("events", view.events),
        bytes=outcome.get("bytes", view.bytes),
    )


def _visible(user_id: int, view: RequestView | None, rights: AccessRights | None) -> RequestView | ExhaustError:
    """Return the request to a user who acts for its partner and may read its resource, else the error to raise."""
    if view is None or rights is None:
        return unknown_request()
    if rights.acts_for_partner and rights.may_read:
        return view
    if user_id == view.user_id:
        return ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED, "the grant on this request's partner or resource was withdrawn"
        )
    return unknown_request()
