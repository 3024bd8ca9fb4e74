"""The forwarding of authenticated calls to the status service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from exhaust.http.endpoint import Call
    from schemas.bodies import Body
    from services.gateway.status_client import Reply, StatusServiceClient


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An authenticated call that goes on to the status service.

    Attributes:
        call: as it came.
        user_id: of the caller.
        path: of the operation there.
    """

    call: Call[Body]
    user_id: int
    path: str

    async def send(
        self,
        client: StatusServiceClient,
        pool: aiohttp.ClientSession,
        *,
        request: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
        method: str = hdrs.METH_POST,
    ) -> Reply:
        """Send the call on and return the answer.

        Args:
            client: of the status service.
            pool: of connections, by the kind of call.
            request: the `request` part of the body.
            query: in place of the call's own.
            method: of the operation there.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when the status service does not answer.
        """
        # Only the caller's identity and message id go on; the license key stays here.
        body = {"params": {"msgid": self.call.msgid}, "request": request or {}}
        headers = {"traceparent": self.call.traceparent, "Accept": self.call.http.headers.get("Accept", "*/*")}
        asked = self.call.http.query if query is None else query
        return await client.forward(
            pool, self.path, body, user_id=self.user_id, query=asked, headers=headers, method=method
        )


def response_of(reply: Reply) -> web.Response:
    """Return an answer of the status service to the caller as it is."""
    return web.Response(body=reply.body, status=reply.status, headers=reply.headers)
