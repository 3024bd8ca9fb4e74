"""Synchronous downloads of v1 and v3: the answer is the archive itself."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pydantic import Field

from exhaust.domain.days import requested_days, today_in
from exhaust.domain.object_keys import outer_archive_name
from exhaust.domain.requests import DatasetRequest, Submitter, parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.disconnects import until_disconnected
from exhaust.http.endpoint import StreamedAnswer
from schemas.bodies import EmptyBody, KeyBody, ShortText
from schemas.operations import Operation
from services.gateway.archive_response import Download, is_not_modified, send_archive
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from zoneinfo import ZoneInfo

    from aiohttp import web

    from exhaust.http.endpoint import BodyT, Call
    from exhaust.postgres.license_keys import Client
    from exhaust.s3.store import ObjectStore
    from services.gateway.auth.access import Access
    from services.gateway.shares import Shares
    from services.gateway.synchronous_downloads import SynchronousDownloads

# In the documents both have the id of a submit.
DOWNLOAD_V1: Final = Operation("ekstep.data_exhaust_dataset_service", "1.0", "download", "v1")
DOWNLOAD_V3: Final = Operation("ekstep.data_exhaust_dataset_service", "1.0", "download", "v3")
MAX_PARTNER_ID_LENGTH: Final = 256  # as of a partnerid in a body


class DownloadBody(KeyBody):
    """The body of a v1 download; it may name the partner whose resource it is."""

    partner_id: ShortText = Field(None, validation_alias="partnerid")


@dataclass(frozen=True, slots=True)
class RequestedResource:
    """The resource that a caller asks for, and its owner.

    Attributes:
        resource: in canonical form.
        partner_id: the plain id of the partner or channel that owns the resource, if the caller gives it, else the
            resource. It makes the search for events faster, and it counts against the limits of that partner.
    """

    resource: str
    partner_id: str


class DownloadHandler:
    """Answers with archives."""

    def __init__(
        self,
        downloads: SynchronousDownloads,
        objects: ObjectStore,
        access: Access,
        shares: Shares,
        *,
        bucket: str,
        zone: ZoneInfo,
    ) -> None:
        """Prepare.

        Args:
            downloads: finds archives, or has them made.
            objects: where archives are read from.
            access: who may ask for what.
            shares: how many downloads of one holder may be at work at once.
            bucket: where archives are.
            zone: in which "today" is.
        """
        self._downloads = downloads
        self._objects = objects
        self._access = access
        self._shares = shares
        self._bucket = bucket
        self._zone = zone

    async def v1(self, call: Call[DownloadBody]) -> StreamedAnswer:
        """Answer POST /v1/datasets/{datasetId}/{resourceId}[/{fromDate}[/{toDate}]]; the license key is in the body."""
        return await self._download(call, self._access.authenticate_and_throttle, _resource_v1)

    async def v1_by_get(self, call: Call[DownloadBody]) -> StreamedAnswer:
        """Answer GET and HEAD of the same; the license key is in X-API-Key."""
        return await self._download(call, self._access.authenticate_api_key_and_throttle, _resource_v1)

    async def v3(self, call: Call[EmptyBody]) -> StreamedAnswer:
        """Answer /data/v3/datasets/{datasetId}[/{resourceId}[/{fromDate}[/{toDate}]]]; a header names token or key."""
        return await self._download(call, self._access.authenticate_token_and_throttle, _resource_v3)

    async def _download(
        self,
        call: Call[BodyT],
        authenticate: Callable[[Call[BodyT]], Awaitable[Client]],
        parse_resource_of: Callable[[Call[BodyT]], RequestedResource],
    ) -> StreamedAnswer:
        client = await authenticate(call)
        with ExitStack() as held:
            held.enter_context(self._shares.downloads.hold(client.user_id))
            download = await until_disconnected(call.http, self._find(call, client, authenticate, parse_resource_of))
            kept = held.pop_all()

        async def stream(http: web.Request) -> web.StreamResponse:
            with kept, self._shares.streams.hold(client.user_id):
                return await send_archive(http, self._objects, self._bucket, download)

        return StreamedAnswer(stream)

    async def _find(
        self,
        call: Call[BodyT],
        client: Client,
        authenticate: Callable[[Call[BodyT]], Awaitable[Client]],
        parse_resource_of: Callable[[Call[BodyT]], RequestedResource],
    ) -> Download:
        requested = parse_resource_of(call)
        days = requested_days(call.optional_path("fromDate"), call.optional_path("toDate"), today=today_in(self._zone))
        dataset = await self._access.authorize(client, call.path("datasetId"), requested.resource)
        request = DatasetRequest(uuid4(), dataset.id, requested.resource, days, ())
        submitter = Submitter(client.user_id, requested.partner_id, client.license_key_name, synchronous=True)
        archive = await self._downloads.archive(request, submitter, call.traceparent)
        if archive.waited:  # a key may have been revoked meanwhile, or a grant removed
            await authenticate(call)
            await self._access.authorize(client, dataset.id, requested.resource)
        file_name = outer_archive_name(dataset.id, days.first, days.last)
        download = Download(archive.info, archive.digest, file_name)
        if call.http.method != "HEAD" and not is_not_modified(call.http, download):
            # Before the first byte, since a caller who breaks off has read something too.
            await self._downloads.record_download(request, submitter)
        return download


def _resource_v1(call: Call[DownloadBody]) -> RequestedResource:
    resource = parse_resource(call.path("resourceId"))
    return RequestedResource(resource, _partner_of(resource, call.body.partner_id))


def _resource_v3(call: Call[EmptyBody]) -> RequestedResource:
    """Return the resource of the path, or of the channel when X-Channel-ID names one.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED when the path names another resource than the channel's.
    """
    named = call.optional_path("resourceId")
    channel = call.http.headers.get("X-Channel-ID")
    if channel is None:
        if named is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "name a resourceId in the path, or send X-Channel-ID")
        resource = parse_resource(named)
        return RequestedResource(resource, resource)
    resource = resource_id(channel)
    if named is not None and named != channel and parse_resource(named) != resource:
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "the resourceId in the path is not that of X-Channel-ID")
    return RequestedResource(resource, _partner_of(resource, channel))


def _partner_of(resource: str, claimed: str | None) -> str:
    """Return the plain id of the owner when the caller names the true one in printable text, else the resource."""
    if (
        claimed is not None
        and len(claimed) <= MAX_PARTNER_ID_LENGTH
        and claimed.isprintable()  # narrower than is_storable_text, so that operators can read it
        and resource_id(claimed) == resource
    ):
        return claimed
    return resource
