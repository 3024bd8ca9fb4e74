"""The handlers of retry and delete calls, for users that the gateway has authenticated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.http.error_responses import RETRY_AFTER
from exhaust.postgres.request_commands import delete_request, retry_failed_request
from exhaust.postgres.requests import Limits
from schemas.operations import STATUS_PATH, StatusRead
from services.status.status_calls import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exhaust.domain.catalogue import Catalogue
    from exhaust.http.endpoint import Call
    from exhaust.postgres.database import Database
    from exhaust.postgres.request_views import RequestView
    from schemas.bodies import Body, EmptyBody
    from schemas.operations import RetryBody
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_reader import RequestReader


class ActionCalls:
    """Answers retry and delete calls. Whoever may see a request may submit the like of it, and so may do both."""

    def __init__(
        self,
        database: Database,
        reader: RequestReader,
        changes: ChangeNotifier,
        catalogue: Catalogue,
        on_deleted: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            database: with the status service's role.
            reader: decides who may see a request.
            changes: wakes those who wait for a change of a request.
            catalogue: of the datasets that may be submitted.
            on_deleted: called after a deletion was committed, so that the objects go at once.
        """
        self._database = database
        self._reader = reader
        self._changes = changes
        self._catalogue = catalogue
        self._on_deleted = on_deleted

    async def retry(self, call: Call[RetryBody]) -> Answer:
        """Start the next attempt at a failed request: 202; 200 when it is in progress again."""
        read, view = await self._visible(call, "requestid")
        if self._catalogue.find(view.dataset) is None:
            raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "there is no such dataset any more")
        told = call.body
        retry = await retry_failed_request(
            self._database,
            read.request_id,
            actor=f"user/{read.user_id}",
            traceparent=call.traceparent,
            limits=Limits(told.openrequests, told.daysbuilt, told.bytesbuilt),
        )
        self._changes.notify(read.request_id)
        result = {"requestid": str(read.request_id), "attempt": retry.attempt}
        if not retry.started:
            return Answer(result)
        headers = {
            "Location": STATUS_PATH.format(requestid=read.request_id),
            "Retry-After": str(RETRY_AFTER.seconds),
        }
        return Answer(result, status=202, headers=headers)

    async def delete(self, call: Call[EmptyBody]) -> Answer:
        """Delete a request that has ended; from then on it is unknown."""
        read, _ = await self._visible(call, "partnerid")
        await delete_request(self._database, read.request_id, actor=f"user/{read.user_id}")
        self._on_deleted()
        self._changes.notify(read.request_id)
        return Answer({"requestid": str(read.request_id)})

    async def _visible(self, call: Call[Body], part: str) -> tuple[StatusRead, RequestView]:
        read = StatusRead(caller_of(call), parse_request_id(call.path(part)))
        (view,) = await self._reader.read([read])
        if isinstance(view, ExhaustError):
            raise view
        return read, view
