"""/v2/webhooks…: holders of license keys register webhooks, change them, and see what these were told."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

from aiohttp import hdrs, web
from pydantic import Field

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer, endpoint
from exhaust.postgres.webhook_deliveries import list_deliveries, put_test, replay
from exhaust.postgres.webhooks import unknown_webhook
from exhaust.webhooks.urls import MAX_URL_LENGTH
from schemas.bodies import Body, EmptyBody, ShortText
from schemas.operations import REQUEST_ID, Operation
from services.gateway.handlers.admin.fields import optional_time, written
from services.gateway.handlers.admin.keys import SECRET
from services.gateway.token_buckets import TokenBuckets

if TYPE_CHECKING:
    from exhaust.http.endpoint import BodyT, Call, Handler, HttpMetrics
    from exhaust.postgres.database import Database
    from exhaust.postgres.webhook_deliveries import Delivery
    from exhaust.postgres.webhooks import Webhook
    from services.gateway.auth.access import Access
    from services.gateway.webhook_service import WebhookService

PATH: Final = "/v2/webhooks"
ONE: Final = f"{PATH}/{{webhookid}}"
# The calls that these count as: nobody may use us to call somebody else without end.
TEST_COST: Final = 10
REPLAY_COST: Final = 100
# Beside that, what a holder may have sent to addresses that nobody has proven to be the holder's.
SENDS_AN_HOUR: Final = 600
SENDS_OF_A_TEST: Final = 10
SENDS_OF_A_REPLAY: Final = 50  # of all since a time; one delivery counts once
_Url = Annotated[str, Field(max_length=MAX_URL_LENGTH)]
_Events = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=16)]
_UUID: Final = re.compile(REQUEST_ID, re.ASCII)


class NewWebhookBody(Body):
    """The body of a registration."""

    url: _Url
    events: _Events


class ChangeWebhookBody(Body):
    """The body of a change: what is absent stays as it is."""

    url: _Url | None = None
    events: _Events | None = None
    enabled: bool | None = None


class ReplayBody(Body):
    """The body of a replay: one delivery, or all since a time."""

    since: ShortText = None
    delivery: ShortText = None


class WebhookHandler:
    """Answers the calls about webhooks. A webhook of somebody else is answered like an unknown one."""

    def __init__(self, service: WebhookService, access: Access, database: Database) -> None:
        self._service = service
        self._access = access
        self._database = database
        self._sends = TokenBuckets(SENDS_AN_HOUR, time.monotonic, period=timedelta(hours=1))

    def routes(self, metrics: HttpMetrics) -> list[web.RouteDef]:
        """Build the routes."""

        def route(
            method: str, path: str, name: str, body: type[BodyT], handle: Handler[BodyT], *, needs_body: bool = False
        ) -> web.RouteDef:
            operation = Operation(f"ekstep.data_exhaust_{name}", "2.0", name, "v2")
            return web.route(method, path, endpoint(operation, body, handle, metrics, needs_body=needs_body))

        return [
            route(hdrs.METH_POST, PATH, "webhook_create", NewWebhookBody, self.create, needs_body=True),
            route(hdrs.METH_GET, PATH, "webhook_list", EmptyBody, self.list_webhooks),
            route(hdrs.METH_GET, ONE, "webhook_show", EmptyBody, self.show),
            route(hdrs.METH_PATCH, ONE, "webhook_change", ChangeWebhookBody, self.change, needs_body=True),
            route(hdrs.METH_DELETE, ONE, "webhook_delete", EmptyBody, self.delete),
            route(hdrs.METH_POST, f"{ONE}/rotate", "webhook_rotate", EmptyBody, self.rotate),
            route(hdrs.METH_GET, f"{ONE}/deliveries", "webhook_deliveries", EmptyBody, self.deliveries),
            route(hdrs.METH_POST, f"{ONE}/replay", "webhook_replay", ReplayBody, self.replay, needs_body=True),
            route(hdrs.METH_POST, f"{ONE}/test", "webhook_test", EmptyBody, self.test),
        ]

    async def create(self, call: Call[NewWebhookBody]) -> Answer:
        """Register a webhook and show its secret, once."""
        user_id = await self._user(call)
        made = await self._service.create(user_id, url=call.body.url, events=call.body.events)
        result = {"webhook": _described(made.webhook), "secret": made.secret}
        headers = SECRET | {"Location": f"{PATH}/{made.webhook.webhook_id}"}
        return Answer(result, status=201, headers=headers)

    async def list_webhooks(self, call: Call[EmptyBody]) -> Answer:
        """List the caller's webhooks."""
        owner = self._service.of(await self._user(call))
        return Answer({"webhooks": [_described(webhook) for webhook in await owner.all()]})

    async def show(self, call: Call[EmptyBody]) -> Answer:
        """Show a webhook."""
        owner = self._service.of(await self._user(call))
        return Answer({"webhook": _described(await owner.find(_webhook_id(call)))})

    async def change(self, call: Call[ChangeWebhookBody]) -> Answer:
        """Change a webhook."""
        user_id, body = await self._user(call), call.body
        webhook = await self._service.change(
            user_id, _webhook_id(call), url=body.url, events=body.events, enabled=body.enabled
        )
        return Answer({"webhook": _described(webhook)})

    async def delete(self, call: Call[EmptyBody]) -> Answer:
        """Delete a webhook."""
        owner = self._service.of(await self._user(call))
        await owner.delete(webhook_id := _webhook_id(call))
        return Answer({"id": str(webhook_id), "deleted": True})

    async def rotate(self, call: Call[EmptyBody]) -> Answer:
        """Make a new secret and show it, once."""
        user_id = await self._user(call)
        made = await self._service.rotate(user_id, _webhook_id(call))
        return Answer({"webhook": _described(made.webhook), "secret": made.secret}, headers=SECRET)

    async def deliveries(self, call: Call[EmptyBody]) -> Answer:
        """List what a webhook was told, the newest first."""
        owner = self._service.of(await self._user(call))
        found = await list_deliveries(self._database, owner.user_id, _webhook_id(call))
        return Answer({"deliveries": [_delivered(delivery) for delivery in found]})

    async def replay(self, call: Call[ReplayBody]) -> Answer:
        """Deliver again, under the old ids."""
        owner = self._service.of(await self._user(call, cost=REPLAY_COST))
        since = optional_time(call.body.since, "since")
        if (since is None) == (not call.body.delivery):
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request must hold either since or delivery")
        wanted = _delivery_id(call.body.delivery) if call.body.delivery else None
        await owner.find(_webhook_id(call))
        self._count_sends(owner.user_id, 1 if wanted else SENDS_OF_A_REPLAY)
        count = await replay(self._database, owner.user_id, _webhook_id(call), since=since, delivery=wanted)
        return Answer({"replayed": count}, status=202)

    async def test(self, call: Call[EmptyBody]) -> Answer:
        """Deliver an event that means nothing."""
        owner = self._service.of(await self._user(call, cost=TEST_COST))
        await owner.find(_webhook_id(call))
        self._count_sends(owner.user_id, SENDS_OF_A_TEST)
        delivery = await put_test(self._database, owner.user_id, _webhook_id(call))
        return Answer({"delivery": str(delivery)}, status=202)

    def _count_sends(self, user_id: int, sends: int) -> None:
        allowance = self._sends.check(str(user_id), sends)
        if not allowance.allowed:
            most = f"{SENDS_AN_HOUR // SENDS_OF_A_TEST} tests or {SENDS_AN_HOUR // SENDS_OF_A_REPLAY} replays"
            raise ExhaustError(
                ErrorCode.RATE_LIMITED,
                f"this license key may ask for {most} an hour; try again in {allowance.reset_seconds} s",
                headers={"Retry-After": str(allowance.reset_seconds)},
            )

    async def _user(self, call: Call[BodyT], *, cost: int = 1) -> int:
        return (await self._access.authenticate_api_key_and_throttle(call, cost=cost)).user_id


def _webhook_id(call: Call[Body]) -> UUID:
    found = _uuid(call.path("webhookid"))
    if found is None:
        raise unknown_webhook()
    return found


def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None


def _delivery_id(text: str) -> UUID:
    found = _uuid(text)
    if found is None:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request/delivery must be the id of a delivery")
    return found


def _described(webhook: Webhook) -> dict[str, object]:
    told: dict[str, object] = {
        "id": str(webhook.webhook_id),
        "url": webhook.url,
        "events": webhook.events,
        "enabled": webhook.off_since is None,
        "createdat": webhook.created_at.isoformat(),
    }
    more = {
        "failingsince": written(webhook.failing_since),
        "offsince": written(webhook.off_since),
        "offreason": webhook.off_reason,
        "oldsecretuntil": written(webhook.old_secret_until),
    }
    return told | {name: value for name, value in more.items() if value is not None}


def _delivered(delivery: Delivery) -> dict[str, object]:
    told: dict[str, object] = {
        "id": str(delivery.delivery_id),
        "event": delivery.event,
        "createdat": delivery.created_at.isoformat(),
        "state": delivery.state,
        "attempt": delivery.attempt,
    }
    more = {
        "requestid": delivery.request_id and str(delivery.request_id),
        "triedat": written(delivery.tried_at),
        "httpstatus": delivery.http_status,
        "reason": delivery.reason,
        "nextattempt": written(delivery.next_at),
    }
    return told | {name: value for name, value in more.items() if value is not None}
