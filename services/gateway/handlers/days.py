"""What is known of the days of a resource, and the estimate of a request; the status service answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from exhaust.domain.days import looked_at_days, requested_days, today_in
from exhaust.domain.requests import parse_resource, parse_tags
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.envelope import require_text
from exhaust.http.query import list_values
from schemas.bodies import KeyBody, ShortText
from schemas.operations import DAYS_PATH, ESTIMATE_PATH, MAX_RESOURCES
from services.gateway.forwarding import Forwarded, response_of
from telemetry.resource_ids import is_resource_hash, resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from aiohttp import web

    from exhaust.domain.days import DayRange
    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import Client
    from schemas.bodies import Body, EmptyBody
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.status_client import StatusServiceClient

LOOK_COST: Final = 4  # calls that a look at a resource counts as, since it may read many small objects


class EstimateBody(KeyBody):
    """The body of an estimate: that of a submit."""

    partner_id: ShortText = Field(None, validation_alias="partnerid")
    username: ShortText = None


class DaysHandler:
    """Authorizes callers and asks the status service."""

    def __init__(self, client: StatusServiceClient, access: Access, shares: Shares, *, zone: ZoneInfo) -> None:
        self._client = client
        self._access = access
        self._shares = shares
        self._zone = zone

    async def days(self, call: Call[EmptyBody]) -> web.Response:
        """Answer GET /v2/days; the license key is in X-API-Key."""
        texts = list_values(call.http.query, "resource")
        client = await self._access.authenticate_api_key_and_throttle(call, cost=LOOK_COST * max(1, len(texts)))
        dataset_name, first, last = _parameters(call, texts)
        resources = [await self._resource(client, text.strip()) for text in texts]
        days = looked_at_days(first, last)
        dataset = await self._access.authorize(client, dataset_name, *resources)
        several = {"resourceids": resources} if len(resources) > 1 else {}
        asked = {"datasetid": dataset.id, "resourceid": resources[0], **several}
        return await self._ask(Forwarded(call, client.user_id, DAYS_PATH), days, asked)

    async def estimate(self, call: Call[EstimateBody]) -> web.Response:
        """Answer POST /v2/datasets/{datasetId}/{resourceId}[/{fromDate}[/{toDate}]]/estimate."""
        in_body = call.body.license_key is not None
        authenticate = (
            self._access.authenticate_and_throttle if in_body else self._access.authenticate_api_key_and_throttle
        )
        client = await authenticate(call, cost=LOOK_COST)
        partner_id = require_text(call.body.partner_id, ErrorCode.MISSING_PARTNERID, "partnerid")
        resource = parse_resource(call.path("resourceId"))
        days = requested_days(call.optional_path("fromDate"), call.optional_path("toDate"), today=today_in(self._zone))
        tags = parse_tags(list_values(call.http.query, "tags"))
        dataset = await self._access.authorize_for_partner(
            client, partner_id=partner_id, dataset_name=call.path("datasetId"), resource=resource
        )
        asked = {
            "datasetid": dataset.id,
            "resourceid": resource,
            "tagged": bool(tags),
            "partner": resource_id(partner_id),
        }
        return await self._ask(Forwarded(call, client.user_id, ESTIMATE_PATH), days, asked)

    async def _resource(self, client: Client, text: str) -> str:
        """Return the resource id for what a caller wrote: a resource id, or the plain id of a partner or channel."""
        if not is_resource_hash(text) and not await self._access.grants.may_read(client.user_id, text, None):
            return resource_id(text)
        return parse_resource(text)

    async def _ask(self, forwarded: Forwarded, days: DayRange, request: Mapping[str, object]) -> web.Response:
        request = {
            **request,
            "fromdate": days.first.isoformat(),
            "todate": days.last.isoformat(),
            "today": today_in(self._zone).isoformat(),
        }
        with self._shares.looks.hold(forwarded.user_id):
            return response_of(await forwarded.send(self._client, self._client.pools.reads, request=request, query={}))


def _parameters(call: Call[Body], resources: Sequence[str]) -> tuple[str, str, str]:
    """Return the dataset, the first and the last day.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; it names each parameter that is missing.
    """
    dataset, first, last = (call.http.query.get(name, "").strip() for name in ("dataset", "from", "to"))
    named = all(resource.strip() for resource in resources) and resources
    given = {"dataset": dataset, "resource": named, "from": first, "to": last}
    missing = [name for name, value in given.items() if not value]
    if missing:
        what = "this query parameter is needed"
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            "; ".join(f"{name}: {what}" for name in missing),
            violations=[(f"?{name}", what) for name in missing],
        )
    if len(resources) > MAX_RESOURCES:
        what = f"ask for at most {MAX_RESOURCES} resources at once"
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"resource: {what}", violations=[("?resource", what)])
    return dataset, first, last
