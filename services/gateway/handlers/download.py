"""Downloads for callers who hold the line: the same requests and archives, and a wait for their end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from pydantic import Field

from exhaust.domain.days import requested_days, today_in
from exhaust.domain.object_keys import outer_archive_name
from exhaust.domain.requests import DatasetRequest, State, Submitter, parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Delivery
from exhaust.http.envelope import Operation
from exhaust.postgres.audit import Action, record_action
from exhaust.s3.store import ObjectMissingError
from schemas.bodies import EmptyBody, KeyBody, ShortText
from services.gateway.archive_response import Download, is_known, send
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from aiohttp import web

    from exhaust.http.endpoint import BodyT, Call
    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import Client
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import Objects
    from schemas.bodies import Body
    from services.gateway.auth.access import Access
    from services.gateway.request_service import RequestService

DOWNLOAD_V1: Final = Operation("ekstep.data_exhaust_dataset_service", "1.0")
LOOK_AGAIN_S: Final = 0.1
LONGEST_OWNER: Final = 256  # as of a partnerid in a body
_RECENT: Final = """
SELECT outcome FROM requests
WHERE dataset_id = $1 AND resource = $2 AND from_date = $3 AND to_date = $4 AND tags = '{}'
  AND state = 'complete' AND ended_at > now() - $5::interval AND outcome ? 'digest'
ORDER BY ended_at DESC LIMIT 1
"""
_STANDING: Final = "SELECT state, outcome FROM requests WHERE request_id = $1"


class DownloadBody(KeyBody):
    """The partner whose resource it is, where the caller says it."""

    partner_id: ShortText = Field(None, validation_alias="partnerid")


@dataclass(frozen=True, slots=True)
class SynchronousSettings:
    """How long a caller may hold the line, and how old a finished download may be that serves another caller."""

    patience: timedelta
    fresh_for: timedelta


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for.

    Attributes:
        resource: in canonical form.
        partner_id: plain id of the partner or channel whose resource it is; the resource itself where the caller does
            not say it. It speeds the search for events, and requests are taken in turns by it.
    """

    resource: str
    partner_id: str


class SynchronousDownloads:
    """Answers with the zip itself."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        requests: RequestService,
        access: Access,
        *,
        bucket: str,
        zone: ZoneInfo,
        settings: SynchronousSettings,
    ) -> None:
        self._database = database
        self._objects = objects
        self._requests = requests
        self._access = access
        self._bucket = bucket
        self._zone = zone
        self._settings = settings

    async def v1(self, call: Call[DownloadBody]) -> Delivery:
        """POST /v1/datasets/{datasetId}/{resourceId}[/{fromDate}[/{toDate}]], the license key in the body."""
        return await self._download(call, self._access.admit, _wanted_v1)

    async def v1_by_get(self, call: Call[DownloadBody]) -> Delivery:
        """GET and HEAD of the same, the license key in X-API-Key."""
        return await self._download(_with_header_key(call), self._access.admit, _wanted_v1)

    async def v3(self, call: Call[EmptyBody]) -> Delivery:
        """/data/v3/datasets/{datasetId}[/{resourceId}[/{fromDate}[/{toDate}]]], for holders of a token or a channel."""
        return await self._download(call, self._access.admit_by_header, _wanted_v3)

    async def _download(
        self,
        call: Call[BodyT],
        admit: Callable[[Call[BodyT]], Awaitable[Client]],
        wanted: Callable[[Call[BodyT]], Wanted],
    ) -> Delivery:
        client = await admit(call)
        what = wanted(call)
        days = requested_days(call.optional_path("fromDate"), call.optional_path("toDate"), today=today_in(self._zone))
        dataset = await self._access.authorize(client, call.path("datasetId"), what.resource)
        request = DatasetRequest(uuid4(), dataset.id, what.resource, days, ())
        submitter = Submitter(client.user_id, what.partner_id, client.license_key_name, synchronous=True)
        return await self._deliver(call, request, submitter)

    async def _deliver(self, call: Call[Body], request: DatasetRequest, submitter: Submitter) -> Delivery:
        outcome = await self._finished_lately(request)
        info = None
        if outcome is not None:
            info = await self._stored(outcome)
        if outcome is None or info is None:
            outcome = await self._wait_for(call, request, submitter)
            info = await self._stored(outcome)
        if info is None:
            raise ExhaustError(ErrorCode.INTERNAL_ERROR, "the download vanished; ask again")
        file_name = outer_archive_name(request.dataset, request.days.first, request.days.last)
        download = Download(info, str(outcome["digest"]), file_name)

        if call.http.method != "HEAD" and not is_known(call.http, download):
            await self._note(request, submitter)

        async def stream(http: web.Request) -> web.StreamResponse:
            return await send(http, self._objects, self._bucket, download)

        return Delivery(stream)

    async def _note(self, request: DatasetRequest, submitter: Submitter) -> None:
        # Before the first byte: whoever breaks off has read something too.
        days = request.days
        async with self._database.transaction() as connection:
            await record_action(
                connection,
                actor=f"user/{submitter.user_id}",
                action=Action.DOWNLOAD,
                subject=f"resource/{request.resource}",
                detail={"dataset": request.dataset, "from": days.first.isoformat(), "to": days.last.isoformat()},
            )

    async def _finished_lately(self, request: DatasetRequest) -> Mapping[str, Any] | None:
        row = await self._database.fetch_one(
            _RECENT,
            request.dataset,
            request.resource,
            request.days.first,
            request.days.last,
            self._settings.fresh_for,
        )
        return row["outcome"] if row else None

    async def _stored(self, outcome: Mapping[str, Any]) -> ObjectInfo | None:
        try:
            return await self._objects.head(self._bucket, str(outcome["key"]))
        except ObjectMissingError:
            return None

    async def _wait_for(self, call: Call[Body], request: DatasetRequest, submitter: Submitter) -> Mapping[str, Any]:
        """File the request, or join the identical one that is in progress, and wait for its outcome.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when it takes longer; the work goes on, so that the next call finds it.
        """
        request_id = await self._requests.create(request, submitter, call.traceparent)
        deadline = time.monotonic() + self._settings.patience.total_seconds()
        while time.monotonic() < deadline:
            row = await self._database.fetch_one(_STANDING, request_id)
            state = State(row["state"]) if row else State.SUBMITTED
            if row and state is State.COMPLETE:
                outcome: Mapping[str, Any] = row["outcome"]
                return outcome
            if row and state is State.FAILED:
                reason = (row["outcome"] or {}).get("message", "no reason given")
                raise ExhaustError(ErrorCode.INTERNAL_ERROR, f"the dataset could not be made: {reason}")
            await asyncio.sleep(LOOK_AGAIN_S)
        raise ExhaustError(
            ErrorCode.SERVICE_UNAVAILABLE, "the dataset is still being made; the same call will find it in a while"
        )


def _with_header_key(call: Call[DownloadBody]) -> Call[DownloadBody]:
    """The call as if the license key of its X-API-Key stood in its body.

    Raises:
        ExhaustError: LOGIN_FAILED when there is none.
    """
    license_key = call.http.headers.get("X-API-Key")
    if license_key is None:
        raise ExhaustError(ErrorCode.LOGIN_FAILED, "send the license key as X-API-Key")
    return replace(call, body=call.body.model_copy(update={"license_key": license_key}))


def _wanted_v1(call: Call[DownloadBody]) -> Wanted:
    resource = parse_resource(call.path("resourceId"))
    return Wanted(resource, _owner(resource, call.body.partner_id))


def _wanted_v3(call: Call[EmptyBody]) -> Wanted:
    """With X-Channel-ID the resource is the channel's, whether the path names it or not.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED when the path names another one.
    """
    named = call.optional_path("resourceId")
    channel = call.http.headers.get("X-Channel-ID")
    if channel is None:
        if named is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "name a resourceId in the path, or send X-Channel-ID")
        resource = parse_resource(named)
        return Wanted(resource, resource)
    resource = resource_id(channel)
    if named is not None and named != channel and parse_resource(named) != resource:
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "the resourceId in the path is not that of X-Channel-ID")
    return Wanted(resource, _owner(resource, channel))


def _owner(resource: str, claimed: str | None) -> str:
    """Whose resource it is, where the caller says it truly and in a text that can be kept; else the resource."""
    if (
        claimed is not None
        and len(claimed) <= LONGEST_OWNER
        and claimed.isprintable()  # no NUL and no lone surrogate, which PostgreSQL refuses
        and resource_id(claimed) == resource
    ):
        return claimed
    return resource
