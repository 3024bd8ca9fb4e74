"""Runs the gateway: `python -m services.gateway`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from exhaust.catalogue import load_catalogue
from exhaust.grant_store import GrantStore
from exhaust.http_edge import HttpMetrics, edge_app, endpoint
from exhaust.kafka import open_producer
from exhaust.key_store import KeyStore
from exhaust.objects import open_objects
from exhaust.observability import configure_logging
from exhaust.postgres import open_database
from exhaust.process import Health, health_routes, listening, metrics_route, run_process, run_until_stopped
from services.gateway.access import Access
from services.gateway.filing import Filing
from services.gateway.registration import REGISTER, Registration
from services.gateway.relay import Relay
from services.gateway.settings import GatewaySettings
from services.gateway.status_service import LIST, STATUS, StatusService
from services.gateway.submission import SUBMIT, Submission
from services.gateway.synchronous import DOWNLOAD_V1, SynchronousDownloads, SynchronousSettings

if TYPE_CHECKING:
    from aiohttp.web import Application

# "requests" is a reserved word: what is no dataset operation must not look like one.
DATASET = "/{datasetId:(?!requests/)[^/]+}/{resourceId}"
DATASET_PATHS = (DATASET, f"{DATASET}/{{fromDate}}", f"{DATASET}/{{fromDate}}/{{toDate}}")


def public_app(
    health: Health,
    registration: Registration,
    submission: Submission,
    status_service: StatusService,
    downloads: SynchronousDownloads,
) -> Application:
    """The public listener: the only operations that the outside can reach."""
    metrics = HttpMetrics(health.registry)
    submit = endpoint(SUBMIT, submission.submit, metrics)
    download_v1 = endpoint(DOWNLOAD_V1, downloads.v1, metrics)
    app = edge_app()
    app.add_routes(
        [
            *health_routes(health),
            web.post("/v1/client", endpoint(REGISTER, registration.register, metrics)),
            web.post("/v2/datasets/requests/status/{requestid}", endpoint(STATUS, status_service.status, metrics)),
            web.post("/v2/datasets/requests/{partnerid}", endpoint(LIST, status_service.list, metrics)),
            *(web.post(f"/v2/datasets{path}", submit) for path in DATASET_PATHS),
            *(web.post(f"/v1/datasets{path}", download_v1) for path in DATASET_PATHS),
        ]
    )
    return app


async def serve() -> None:
    """Build everything, listen, relay, until SIGTERM."""
    settings = GatewaySettings()
    configure_logging("gateway", settings.log_level)
    catalogue = load_catalogue(settings.catalogue)
    health = Health()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.postgres_dsn, pool_size=settings.postgres_pool_size)
        )
        producer = await stack.enter_async_context(open_producer(settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        access = Access(KeyStore(database, settings.license_key_peppers), GrantStore(database), catalogue)
        relay = Relay(database, producer, health.registry, max_in_flight_per_partner=settings.max_in_flight_per_partner)
        objects = await stack.enter_async_context(open_objects(settings))
        filing = Filing(database, filed=relay.wake)
        submission = Submission(filing, access, zone=settings.day_zone)
        downloads = SynchronousDownloads(
            database,
            objects,
            filing,
            access,
            bucket=settings.s3_exhaust_bucket,
            zone=settings.day_zone,
            settings=SynchronousSettings(settings.sync_patience, settings.sync_fresh_for),
        )
        status_service = StatusService(session, settings.status_url, settings.service_token, access)
        # Not Kafka: while it is away, requests are accepted and wait in the outbox.
        health.checks["postgres"] = database.ping
        internal = edge_app()
        internal.add_routes([*health_routes(health), metrics_route(health)])
        public = public_app(health, Registration(access.keys), submission, status_service, downloads)
        await stack.enter_async_context(listening(internal, settings.host, settings.internal_port))
        await stack.enter_async_context(listening(public, settings.host, settings.port))
        await run_until_stopped(health, relay.run(health.stop, health.beat("relay"), settings.relay_interval))


def main() -> None:
    """The process."""
    run_process(serve)


if __name__ == "__main__":
    main()
