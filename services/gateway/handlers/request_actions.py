"""Retry and delete: the status service acts after the gateway has authenticated the caller."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from exhaust.domain.requests import parse_request_id
from schemas.operations import DELETE_PATH, RETRY_PATH, retry_request
from services.gateway.forwarding import Forwarded, response_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import Client
    from exhaust.postgres.requests import Limits
    from schemas.bodies import KeyBody
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.status_client import StatusServiceClient


class RequestActionHandler:
    """Answers retry and delete calls. The license key is in X-API-Key, or in a body."""

    def __init__(
        self,
        client: StatusServiceClient,
        access: Access,
        shares: Shares,
        limits: Limits,
        on_retried: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            client: of the status service.
            access: who calls.
            shares: how many such calls of one holder may be at work at once.
            limits: of new requests, which a retried one is like.
            on_retried: called when an attempt was started, so that it need not wait for the relay's next round.
        """
        self._client = client
        self._access = access
        self._shares = shares
        self._limits = limits
        self._on_retried = on_retried

    async def retry(self, call: Call[KeyBody]) -> web.Response:
        """Start the next attempt at a failed request."""
        client = await self._authenticate(call)
        path = RETRY_PATH.format(requestid=parse_request_id(call.path("requestid")))
        limits = self._limits
        body = retry_request(limits.open_requests, limits.days_built, limits.bytes_built)
        forwarded = Forwarded(call, client.user_id, path)
        with self._shares.changes.hold(client.user_id):
            reply = await forwarded.send(self._client, self._client.pools.updates, request=body)
        if reply.status == HTTPStatus.ACCEPTED:
            self._on_retried()
        return response_of(reply)

    async def delete(self, call: Call[KeyBody]) -> web.Response:
        """Delete a request that has ended."""
        client = await self._authenticate(call)
        path = DELETE_PATH.format(partnerid=parse_request_id(call.path("partnerid")))
        forwarded = Forwarded(call, client.user_id, path)
        with self._shares.changes.hold(client.user_id):
            return response_of(await forwarded.send(self._client, self._client.pools.updates, method=hdrs.METH_DELETE))

    async def _authenticate(self, call: Call[KeyBody]) -> Client:
        if call.body.license_key is not None:
            return await self._access.authenticate_and_throttle(call)
        return await self._access.authenticate_api_key_and_throttle(call)
