"""The operations of a gateway in a test, with all its shares free."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from services.gateway.apps import Operations
from services.gateway.handlers.admin.routes import AdminHandlers
from services.gateway.handlers.days import DaysHandler
from services.gateway.handlers.download import DownloadHandler
from services.gateway.handlers.me import MeHandler
from services.gateway.handlers.register import RegisterHandler
from services.gateway.handlers.request_actions import RequestActionHandler
from services.gateway.handlers.request_downloads import RequestDownloadHandler
from services.gateway.handlers.request_events import RequestEventsHandler
from services.gateway.handlers.status import StatusHandler
from services.gateway.handlers.submit import SubmitHandler
from services.gateway.request_service import RequestService
from services.gateway.settings import LimitSettings, ShareSettings
from services.gateway.shares import Shares
from services.gateway.submit_limits import submit_limits
from services.gateway.synchronous_downloads import SynchronousDownloads, SynchronousSettings

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from services.gateway.auth.access import Access
    from services.gateway.status_client import StatusServiceClient

UTC = ZoneInfo("UTC")


def gateway_operations(
    database: Database,
    objects: ObjectStore,
    access: Access,
    client: StatusServiceClient,
    limited: LimitSettings,
    draining: asyncio.Event | None = None,
) -> Operations:
    """The handlers of a gateway whose relay is not there."""
    requests = RequestService(database, submit_limits(limited), lambda: None)
    downloads = short_waits(database, objects, requests)
    shares = Shares.of(ShareSettings())
    return Operations(
        RegisterHandler(access.keys, limited),
        SubmitHandler(requests, access, zone=UTC),
        DownloadHandler(downloads, objects, access, shares, bucket="exhaust", zone=UTC),
        StatusHandler(client, access, shares),
        RequestDownloadHandler(client, access, shares),
        MeHandler(access, limited, ShareSettings(), UTC, timedelta(hours=4)),
        RequestActionHandler(client, access, shares, submit_limits(limited), lambda: None),
        RequestEventsHandler(client, access, shares, draining or asyncio.Event()),
        DaysHandler(client, access, shares, zone=UTC),
        AdminHandlers.build(access, database),
    )


def short_waits(database: Database, objects: ObjectStore, requests: RequestService) -> SynchronousDownloads:
    settings = SynchronousSettings(max_wait=timedelta(seconds=0.2), max_age=timedelta(minutes=5))
    return SynchronousDownloads(database, objects, requests, bucket="exhaust", settings=settings)
