"""The stream of a request's progress as Server-Sent Events: each new status, and a last event when it has ended."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import ExitStack
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.disconnects import until_disconnected
from exhaust.http.endpoint import StreamedAnswer
from schemas.operations import EVENTS_PATH, watch_request
from services.gateway.forwarding import Forwarded, response_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.http.endpoint import Call
    from schemas.bodies import EmptyBody
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.status_client import Reply, StatusServiceClient

WAIT: Final = timedelta(seconds=5)  # for a change; then the caller's key is looked at again
HEARTBEAT: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(minutes=15)  # then the caller connects again, and goes on behind the last event
WRITE_WITHIN: Final = timedelta(seconds=10)  # an event; who does not read it is cut
RETRY: Final = b"retry: 3000\n\n"  # milliseconds
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",  # the last status has a signed link
    "X-Accel-Buffering": "no",
}
_VERSION: Final = re.compile(r"[0-9]{1,9}\.[0-9]{1,2}\.[0-9]{1,9}", re.ASCII)


class RequestEventsHandler:
    """Answers GET /v2/datasets/requests/{requestid}/events."""

    def __init__(self, client: StatusServiceClient, access: Access, shares: Shares, draining: asyncio.Event) -> None:
        """Prepare.

        Args:
            client: of the status service, which waits for changes.
            access: who calls; looked at again while a stream runs.
            shares: how many streams of one holder may run at once.
            draining: set when the process is about to end; streams end at once then.
        """
        self._client = client
        self._access = access
        self._shares = shares
        self._draining = draining

    async def events(self, call: Call[EmptyBody]) -> StreamedAnswer | web.Response:
        """Stream the changes of a request behind `Last-Event-ID`; 204 ends it for a caller who has seen its end."""
        holder = await self._access.authenticate_api_key_and_throttle(call)
        path = EVENTS_PATH.format(requestid=parse_request_id(call.path("requestid")))
        forwarded = Forwarded(call, holder.user_id, path)
        last = call.http.headers.get("Last-Event-ID", "")
        seen = last if _VERSION.fullmatch(last) else ""
        with ExitStack() as held:
            held.enter_context(self._shares.events.hold(holder.user_id))
            reply = await self._watch(forwarded, seen, timedelta())
            if reply.status != HTTPStatus.OK:
                return response_of(reply)
            first = _result(reply)
            if first["ended"] and first["version"] == seen:
                return web.Response(status=HTTPStatus.NO_CONTENT)
            kept = held.pop_all()

        async def stream(http: web.Request) -> web.StreamResponse:
            with kept:
                response = web.StreamResponse(headers=HEADERS)
                await response.prepare(http)
                await self._send_all(_Sender(response), forwarded, seen, first)
                return response

        return StreamedAnswer(stream)

    async def _send_all(self, sender: _Sender, forwarded: Forwarded, seen: str, change: Mapping[str, Any]) -> None:
        ends_at = time.monotonic() + LONGEST.total_seconds()
        await sender.write(RETRY)
        while True:
            if change["version"] != seen:
                seen = change["version"]
                await sender.write(_event(change["status"], number=seen))
            if change["ended"]:
                return await sender.write(_event({"ended": True}, name="end"))
            await sender.beat()
            if self._draining.is_set() or time.monotonic() > ends_at:
                return None
            try:
                change = await self._next(forwarded, seen)
            except ExhaustError as error:
                if error.code is ErrorCode.SERVICE_UNAVAILABLE:
                    return None  # the caller connects again
                return await sender.write(_event({"err": error.code, "errmsg": error.message}, name="end"))

    async def _next(self, forwarded: Forwarded, seen: str) -> Mapping[str, Any]:
        """Return the next change, or the same version after a while, if the caller may still see it.

        Raises:
            ExhaustError: the key was revoked, or the grant withdrawn; SERVICE_UNAVAILABLE also when the process drains.
        """
        waiting = asyncio.create_task(self._watch(forwarded, seen, WAIT))
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait((waiting, draining), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "the gateway is about to end")
            reply = waiting.result()
        finally:
            for task in (waiting, draining):
                task.cancel()
            await asyncio.gather(waiting, draining, return_exceptions=True)
        await self._access.authenticate_api_key(forwarded.call)
        if reply.status != HTTPStatus.OK:
            raise _refusal(reply)
        return _result(reply)

    async def _watch(self, forwarded: Forwarded, seen: str, wait: timedelta) -> Reply:
        sent = forwarded.send(self._client, self._client.pools.events, request=watch_request(seen, wait), query={})
        return await until_disconnected(forwarded.call.http, sent)


class _Sender:
    """Sends the parts of one stream, and comments when there is nothing else to send."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._sent_at = time.monotonic()

    async def write(self, part: bytes) -> None:
        """Send a part.

        Raises:
            ConnectionError: the caller went away, or does not read.
        """
        try:
            async with asyncio.timeout(WRITE_WITHIN.total_seconds()):
                await self._response.write(part)
        except TimeoutError as error:
            raise ConnectionAbortedError("the caller does not read its events") from error
        self._sent_at = time.monotonic()

    async def beat(self) -> None:
        """Send a comment if nothing was sent for a while, so that no proxy takes the connection for dead."""
        if time.monotonic() - self._sent_at >= HEARTBEAT.total_seconds():
            await self.write(b": still here\n\n")


def _event(data: Mapping[str, object], *, name: str = "", number: str = "") -> bytes:
    fields = [f"id: {number}".encode()] if number else []
    fields += [f"event: {name}".encode()] if name else []
    return b"\n".join([*fields, b"data: " + orjson.dumps(data), b"", b""])  # orjson writes no line break


def _result(reply: Reply) -> Mapping[str, Any]:
    result: Mapping[str, Any] = orjson.loads(reply.body)["result"]
    return result


def _refusal(reply: Reply) -> ExhaustError:
    told = orjson.loads(reply.body)
    params = told.get("params") or {"err": told.get("code"), "errmsg": told.get("detail")}  # or problem details
    code = next((code for code in ErrorCode if code == params["err"]), ErrorCode.SERVICE_UNAVAILABLE)
    return ExhaustError(code, str(params["errmsg"]))
