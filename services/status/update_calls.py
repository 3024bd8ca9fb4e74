"""The handler of POST /v2/datasets/requests/update/{requestid}, by which external jobs report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.requests import parse_request_id
from exhaust.domain.state_machine import REPORTABLE
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from schemas.operations import UpdateBody
    from services.status.external_updates import ExternalUpdates


class UpdateCalls:
    """Answers update calls."""

    def __init__(self, updates: ExternalUpdates) -> None:
        self._updates = updates

    async def update(self, call: Call[UpdateBody]) -> Answer:
        """Apply an update to the request's present attempt."""
        request_id = parse_request_id(call.path("requestid"))
        try:
            state = REPORTABLE[call.body.status or ""]
        except KeyError:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR, "request/status must be inprogress, complete or failed"
            ) from None
        await self._updates.apply(request_id, state, call.body.download_url or "")
        return Answer()
