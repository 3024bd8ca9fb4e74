"""Runs the gateway: `python -m services.gateway`."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import load_catalogue
from exhaust.http.connections import ConnectionLimiter, cap_by_open_files
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.listener import LONG_CALLS_WITHIN, open_listener
from exhaust.kafka.producer import open_producer
from exhaust.logs import configure_logging
from exhaust.postgres.database import open_service_database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.token_subjects import TokenSubjects
from exhaust.process.health import STALL_LIMIT, Health
from exhaust.process.run import run_process, run_until_stopped
from exhaust.s3.store import open_object_store
from exhaust.tokens.verifier import open_token_verifier
from exhaust.webhooks.resolver import open_lookup
from exhaust.webhooks.secrets import SecretSeal
from services.gateway.apps import Operations, internal_app, public_app
from services.gateway.auth.access import Access
from services.gateway.cors import Cors
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
from services.gateway.handlers.webhooks import WebhookHandler
from services.gateway.portal.app import PortalParts, install_portal
from services.gateway.portal.issuer_client import open_issuer_client
from services.gateway.rate_limits import RateLimits
from services.gateway.relay import Relay, RequestPublisher
from services.gateway.request_service import RequestService
from services.gateway.settings import GatewaySettings
from services.gateway.shares import MAX_STREAMS, Shares
from services.gateway.status_client import StatusServiceClient, open_pools
from services.gateway.submit_limits import submit_limits
from services.gateway.synchronous_downloads import SynchronousDownloads, SynchronousSettings
from services.gateway.webhook_service import MAX_LOOKUPS, WebhookService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from aiohttp import web

    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore


async def serve(stall_limit: timedelta = STALL_LIMIT) -> None:
    """Build everything, listen, relay, until SIGTERM.

    Args:
        stall_limit: for how long a loop may stand still before the watchdog ends the process.
    """
    settings = GatewaySettings()
    configure_logging("gateway", settings.log_level)
    catalogue = load_catalogue(settings.catalogue)
    health = Health(stall_limit=stall_limit)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_service_database(settings, health.registry))
        producer = await stack.enter_async_context(open_producer(settings, health.registry))
        pools = await stack.enter_async_context(open_pools())
        tokens = await stack.enter_async_context(open_token_verifier(settings.token_issuers))
        limits = RateLimits(settings, time.monotonic)
        keys = KeyStore(database, settings.license_key_peppers)
        access = Access(keys, TokenSubjects(database), GrantStore(database), catalogue, tokens, limits)
        relay = _relay(settings, database, producer, health)
        objects = await stack.enter_async_context(open_object_store(settings, health.registry, streams=MAX_STREAMS))
        requests = RequestService(database, submit_limits(settings), relay.wake)
        downloads = _downloads(settings, database, objects, requests)
        shares = Shares.of(settings)
        client = StatusServiceClient(pools, settings.status_url, settings.service_token)
        operations = Operations(
            RegisterHandler(access.keys, settings),
            SubmitHandler(requests, access, zone=settings.day_zone),
            DownloadHandler(
                downloads, objects, access, shares, bucket=settings.s3_exhaust_bucket, zone=settings.day_zone
            ),
            StatusHandler(client, access, shares),
            RequestDownloadHandler(client, access, shares),
            MeHandler(access, settings, settings, settings.day_zone, settings.day_closes_after),
            RequestActionHandler(client, access, shares, submit_limits(settings), relay.wake),
            RequestEventsHandler(client, access, shares, health.draining),
            DaysHandler(client, access, shares, zone=settings.day_zone),
            AdminHandlers.build(access, database),
            _webhooks(stack, settings, access, database),
        )
        # Not Kafka: while it is away, requests are accepted and wait in the outbox.
        health.checks["postgres"] = database.ping
        metrics = HttpMetrics(health.registry)
        internal = internal_app(health, operations, settings.service_token, metrics)
        public = public_app(health, operations, limits, Cors(settings.cors_origins), metrics)
        if settings.portal == "on":
            issuer = await stack.enter_async_context(open_issuer_client(settings)) if settings.portal_issuer else None
            parts = PortalParts(database, access, objects, settings.s3_exhaust_bucket, settings.trusted_proxies, issuer)
            install_portal(public, parts, metrics)
        await stack.enter_async_context(_open_listeners(internal, public, settings, health))
        await run_until_stopped(health, relay.run(health, settings.relay_interval), drain_delay=settings.drain_delay)


def _relay(settings: GatewaySettings, database: Database, producer: Producer, health: Health) -> Relay:
    return Relay(
        database,
        RequestPublisher(producer).publish,
        health.registry,
        max_in_flight_per_partner=settings.max_in_flight_per_partner,
        claim_for=settings.release_timeout,
    )


def _webhooks(
    stack: AsyncExitStack, settings: GatewaySettings, access: Access, database: Database
) -> WebhookHandler | None:
    """Return the handler of webhooks, where the settings switch them on."""
    if not settings.webhook_keys:
        return None
    lookup = stack.enter_context(open_lookup(MAX_LOOKUPS))
    service = WebhookService(database, SecretSeal(settings.webhook_keys), lookup, settings.webhook_networks)
    return WebhookHandler(service, access, database)


@asynccontextmanager
async def _open_listeners(
    internal: web.Application, public: web.Application, settings: GatewaySettings, health: Health
) -> AsyncIterator[None]:
    """Listen until the block ends; the internal listener, which tells of health, closes last."""
    limiter = ConnectionLimiter(cap_by_open_files(settings.connection_limits()), health.registry)
    async with (
        open_listener(internal, settings.host, settings.internal_port, draining=health.draining),
        open_listener(
            public,
            settings.host,
            settings.port,
            limiter,
            draining=health.draining,
            finish_within=LONG_CALLS_WITHIN,
        ),
    ):
        yield


def _downloads(
    settings: GatewaySettings, database: Database, objects: ObjectStore, requests: RequestService
) -> SynchronousDownloads:
    return SynchronousDownloads(
        database,
        objects,
        requests,
        bucket=settings.s3_exhaust_bucket,
        settings=SynchronousSettings(settings.sync_timeout, settings.sync_fresh_for),
    )


def main() -> None:
    """The process."""
    run_process(serve)


if __name__ == "__main__":
    main()
