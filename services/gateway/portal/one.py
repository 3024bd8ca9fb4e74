"""The page of one request: where it stands, its days, its manifest, its first events, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from exhaust.domain.requests import parse_request_id
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import check_query
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.requests import find_asked, find_request_state
from exhaust.s3.errors import ObjectMissingError
from schemas.operations import STATUS_PATH, Operation
from services.gateway.portal.archive_reading import MOST_EVENTS
from services.gateway.portal.frame import SESSION, see_other
from services.gateway.portal.known_days import find_known_days
from services.gateway.portal.listed import tracked_of
from services.gateway.portal.operations import path_of
from services.gateway.portal.strips import STATES, Strip, strip_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from exhaust.postgres.database import Database
    from exhaust.postgres.requests import AskedFor
    from services.gateway.portal.archive_reading import ArchiveReader
    from services.gateway.portal.frame import Frame
    from services.gateway.portal.operations import ApiOperations

RETRY: Final = "/v2/datasets/requests/{requestid}/retry"
ONE: Final = "/v2/datasets/requests/{requestid}"
DOWNLOAD: Final = "/v2/datasets/requests/{requestid}/download"
_NONE: Final = Operation("", "")
_PART: Final = Operation("", "", query=frozenset({"part"}))


class OneRequest:
    """The page of a request and its buttons. A request of somebody else is answered like an unknown one."""

    def __init__(self, operations: ApiOperations, frame: Frame, database: Database, archives: ArchiveReader) -> None:
        self._operations = operations
        self._frame = frame
        self._database = database
        self._archives = archives

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET /portal/requests/{requestid}; for htmx the living part alone."""
        check_query(request.query, _NONE)
        request_id, status = await self._status(request)
        asked = await self._asked(request_id)
        tracked = tracked_of(status)
        manifest = await self._manifest(request, request_id) if tracked.may_download else None
        strip = await self._strip(request, asked) if tracked.open else None
        return self._frame.page(
            request,
            "request.html",
            id=str(request_id),
            asked=asked,
            tracked=tracked,
            missing=status.get("missingdays", []),
            manifest=manifest,
            strip=strip,
            states=STATES,
            events=None,
        )

    async def events(self, request: web.Request) -> web.Response:
        """Answer GET /portal/requests/{requestid}/events: the first of them, which is in the audit as a download."""
        check_query(request.query, _NONE)
        request_id, status = await self._status(request)
        key = await self._key(request_id) if "downloadurl" in status else None
        if key is None:
            raise ExhaustError(ErrorCode.NOT_FOUND, "this request has no download")
        user = request[SESSION].client.user_id
        async with self._database.transaction() as connection:
            await record_action(
                connection,
                actor=f"user/{user}",
                action=Action.DOWNLOAD,
                subject=f"request/{request_id}",
                detail={"firstevents": MOST_EVENTS},
            )
        try:
            events = await self._archives.first_events(key, user)
        except ObjectMissingError as error:
            raise ExhaustError(ErrorCode.NOT_FOUND, "the download has expired; ask for these days again") from error
        return self._frame.page(request, "events.html", id=str(request_id), events=events)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /portal/requests/{requestid}/download: send the browser on to a fresh link."""
        check_query(request.query, _PART)
        path = path_of(DOWNLOAD, requestid=parse_request_id(request.match_info["requestid"]))
        reply = await self._operations.call(request, hdrs.METH_GET, path, query=dict(request.query))
        return web.Response(status=303, headers={"Location": reply.location, "Cache-Control": "no-store"})

    async def act(self, request: web.Request) -> web.Response:
        """Answer POST /portal/requests/{requestid}/{action}: cancel, retry or delete."""
        request_id = parse_request_id(request.match_info["requestid"])
        action = request.match_info["action"]
        method, path = {
            "cancel": (hdrs.METH_DELETE, STATUS_PATH),
            "retry": (hdrs.METH_POST, RETRY),
            "delete": (hdrs.METH_DELETE, ONE),
        }[action]
        await self._operations.call(request, method, path_of(path, requestid=request_id))
        return see_other("") if action == "delete" else see_other("/requests", request_id)

    async def _status(self, request: web.Request) -> tuple[UUID, Mapping[str, Any]]:
        request_id = parse_request_id(request.match_info["requestid"])
        return request_id, await self._operations.get(request, path_of(STATUS_PATH, requestid=request_id))

    async def _asked(self, request_id: UUID) -> AskedFor:
        """Return what a request asks for, whose status the holder of the session has just been told."""
        asked = await find_asked(self._database, request_id)
        if asked is None:
            raise ExhaustError(ErrorCode.INVALID_REQUESTID, "the request has just gone")
        return asked

    async def _key(self, request_id: UUID) -> str | None:
        found = await find_request_state(self._database, request_id)
        key = (found.outcome or {}).get("key") if found else None
        return key if isinstance(key, str) else None

    async def _manifest(self, request: web.Request, request_id: UUID) -> Mapping[str, Any] | None:
        key = await self._key(request_id)
        try:
            return await self._archives.manifest(key, request[SESSION].client.user_id) if key else None
        except (ExhaustError, ObjectMissingError, ValueError, KeyError):
            return None  # the page says so, and the download may still work

    async def _strip(self, request: web.Request, asked: AskedFor) -> Strip:
        first, last = asked.days.first, asked.days.last
        (told,) = await find_known_days(self._operations, request, asked.dataset, [asked.resource], first, last)
        return strip_of(first, last, told or ())
