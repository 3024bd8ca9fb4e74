"""POST /v2/datasets/…: submit a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic import Field

from exhaust.domain.days import requested_days, today_in
from exhaust.domain.requests import DatasetRequest, Submitter, parse_resource, parse_tags
from exhaust.errors import ErrorCode
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import require_text
from exhaust.http.error_responses import RETRY_AFTER
from exhaust.http.query import list_values
from exhaust.process.failpoints import failpoint
from schemas.bodies import KeyBody, ShortText
from schemas.operations import STATUS_PATH, Operation
from services.gateway.checks import Checks
from services.gateway.idempotency import key_from

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    from exhaust.domain.days import DayRange
    from exhaust.http.endpoint import Call
    from services.gateway.auth.access import Access
    from services.gateway.request_service import RequestService

SUBMIT: Final = Operation("ekstep.data_exhaust_dataset_service", "2.0", "submit", "v2", query_lists=frozenset({"tags"}))


class SubmitBody(KeyBody):
    """The body of a submit: the partner and the person for whom it is."""

    partner_id: ShortText = Field(None, validation_alias="partnerid")
    username: ShortText = None


class SubmitHandler:
    """Checks submits and creates their requests."""

    def __init__(self, requests: RequestService, access: Access, *, zone: ZoneInfo) -> None:
        """Prepare.

        Args:
            requests: creates the accepted requests.
            access: who may ask for what.
            zone: in which "today" is.
        """
        self._requests = requests
        self._access = access
        self._zone = zone

    async def submit(self, call: Call[SubmitBody]) -> Answer:
        """Create a request, and answer 202 with its id once request and outbox row are committed."""
        key = key_from(call.http.headers)
        client = await self._access.authenticate_and_throttle(call)
        asked = _asked(call, today_in(self._zone))
        submitter = Submitter(client.user_id, asked.partner_id, asked.username)
        resource, days, tags = asked.resource, asked.days, asked.tags
        dataset = await self._access.authorize_for_partner(
            client, partner_id=submitter.partner_id, dataset_name=call.path("datasetId"), resource=resource
        )
        request = DatasetRequest(uuid4(), dataset.id, resource, days, tags)
        request_id = await self._requests.create(request, submitter, call.traceparent, idempotency_key=key)
        failpoint("submit.before_answer")
        return Answer(
            {"requestid": str(request_id)},
            status=202,
            headers={
                "Location": STATUS_PATH.format(requestid=request_id),
                "Retry-After": str(RETRY_AFTER.seconds),
            },
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    partner_id: str
    username: str
    resource: str
    days: DayRange
    tags: tuple[str, ...]


def _asked(call: Call[SubmitBody], today: date) -> _Asked:
    """Return what a submit asks for.

    Raises:
        ExhaustError: it tells every violation.
    """
    body, checks = call.body, Checks()
    partner_id = checks.add(
        "/request/partnerid", lambda: require_text(body.partner_id, ErrorCode.MISSING_PARTNERID, "partnerid")
    )
    username = checks.add(
        "/request/username", lambda: require_text(body.username, ErrorCode.MISSING_USERNAME, "username")
    )
    resource = checks.add("{resourceId}", lambda: parse_resource(call.path("resourceId")))
    written = call.optional_path("fromDate"), call.optional_path("toDate")
    days = checks.add("{fromDate}", lambda: requested_days(*written, today=today))
    tags = checks.add("?tags", lambda: parse_tags(list_values(call.http.query, "tags")))
    checks.require()
    return _Asked(partner_id(), username(), resource(), days(), tags())
