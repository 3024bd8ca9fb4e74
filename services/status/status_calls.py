"""POST /v2/datasets/requests/status/{requestid}, for callers that the gateway has authenticated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exhaust.archive.outer_archive import outer_archive_name
from exhaust.days import DayRange, parse_day
from exhaust.envelope import CALLER_HEADER, Operation
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http_edge import Answer
from exhaust.requests import State, parse_request_id, unknown_request
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from datetime import timedelta

    from exhaust.grant_store import GrantStore
    from exhaust.http_edge import Call
    from exhaust.objects import Objects
    from services.status.request_states import RequestStates, RequestStatus

STATUS: Final = Operation("ekstep.data_exhaust_dataset_request_status_service", "2.0")
_USER_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class StatusCalls:
    """Answers what a request's state is, and where its download lies."""

    def __init__(
        self, states: RequestStates, grants: GrantStore, objects: Objects, *, bucket: str, link_lifetime: timedelta
    ) -> None:
        self._states = states
        self._grants = grants
        self._objects = objects
        self._bucket = bucket
        self._link_lifetime = link_lifetime

    async def status(self, call: Call) -> Answer:
        """The documented status and downloadurl, and progress, size, digest or error beside them."""
        caller = call.http.headers.get(CALLER_HEADER, "")
        if not _USER_ID.fullmatch(caller):
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {CALLER_HEADER} must be a user id")
        request = await self._states.read(parse_request_id(call.path("requestid")))
        if request is None or not await self._may_see(int(caller), request):
            raise unknown_request()
        return Answer(await self._result(request))

    async def _may_see(self, user_id: int, request: RequestStatus) -> bool:
        """Whether the caller acts for the request's partner.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, when it is the caller's own request and a grant was withdrawn since.
        """
        acts_for_partner = await self._grants.holds(user_id, resource_id(request.partner_id), None)
        may_read = await self._grants.holds(user_id, request.resource, request.dataset)
        if acts_for_partner and may_read:
            return True
        if user_id == request.user_id:
            raise ExhaustError(
                ErrorCode.AUTHORIZATION_FAILED, "the grant on this request's partner or resource was withdrawn"
            )
        return False

    async def _result(self, request: RequestStatus) -> dict[str, object]:
        result: dict[str, object] = {
            "status": request.state.wire,
            "progress": {
                "daysdone": request.days_done,
                "daystotal": request.days_total,
                "events": request.events,
                "bytes": request.bytes,
            },
        }
        outcome = request.outcome or {}
        if request.state is State.COMPLETE:
            days = DayRange(parse_day(request.first, "fromdate"), parse_day(request.last, "todate"))
            result["downloadurl"] = await self._objects.signed_url(
                self._bucket,
                outcome["key"],
                lifetime=self._link_lifetime,
                file_name=outer_archive_name(request.dataset, days.first, days.last),
            )
            result |= {name: outcome[name] for name in ("size", "sha256", "events", "bytes")}
        elif request.state is State.FAILED:
            result["error"] = outcome
        return result
