"""The handler of cancel calls, for users that the gateway has authenticated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.requests import parse_request_id
from exhaust.domain.state_machine import State
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, ExhaustError, error_document
from exhaust.http.endpoint import Answer
from exhaust.postgres.request_commands import cancel_request
from schemas.operations import StatusRead
from services.status.status_calls import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exhaust.http.endpoint import Call
    from exhaust.postgres.database import Database
    from exhaust.postgres.request_commands import Cancellation
    from schemas.bodies import EmptyBody
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_reader import RequestReader


class CancelCalls:
    """Answers cancel calls."""

    def __init__(
        self,
        database: Database,
        reader: RequestReader,
        changes: ChangeNotifier,
        on_cancelled: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            database: with the status service's role.
            reader: decides who may see a request; whoever may, may cancel it.
            changes: wakes those who wait for the end of a request.
            on_cancelled: called after a cancellation was committed, so that aggregators are told of it at once.
        """
        self._database = database
        self._reader = reader
        self._changes = changes
        self._on_cancelled = on_cancelled

    async def cancel(self, call: Call[EmptyBody]) -> Answer:
        """Cancel a request and answer with a receipt; of one that is cancelled, with the same receipt."""
        read = StatusRead(caller_of(call), parse_request_id(call.path("requestid")))
        (view,) = await self._reader.read([read])
        if isinstance(view, ExhaustError):
            raise view
        cancellation = await cancel_request(self._database, read.request_id, actor=f"user/{read.user_id}")
        self._on_cancelled()
        self._changes.notify(read.request_id)
        return Answer(_receipt(cancellation))


def _receipt(cancellation: Cancellation) -> dict[str, object]:
    return {
        "requestid": str(cancellation.request_id),
        "status": State.CANCELLED.wire,
        "error": error_document(ErrorCode.CANCELLED, CANCELLED_SENTENCE),
        "cancelledat": cancellation.cancelled_at.isoformat(timespec="milliseconds"),
    }
