"""Runs the gateway: `python -m services.gateway`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from exhaust.catalogue import load_catalogue
from exhaust.envelope import MAX_BODY_BYTES
from exhaust.grant_store import GrantStore
from exhaust.http_edge import HttpMetrics, endpoint, envelope_errors
from exhaust.kafka import open_producer
from exhaust.key_store import KeyStore
from exhaust.observability import configure_logging
from exhaust.postgres import open_database
from exhaust.process import Health, health_routes, listening, metrics_route, run_process, run_until_stopped
from services.gateway.access import Access
from services.gateway.registration import REGISTER, Registration
from services.gateway.relay import Relay
from services.gateway.settings import GatewaySettings
from services.gateway.status_service import STATUS, StatusService
from services.gateway.submission import SUBMIT, Submission

if TYPE_CHECKING:
    from aiohttp.web import Application

# "requests" is a reserved word: what is no dataset operation must not look like one.
DATASET = "/v2/datasets/{datasetId:(?!requests/)[^/]+}/{resourceId}"
DATASET_PATHS = (DATASET, f"{DATASET}/{{fromDate}}", f"{DATASET}/{{fromDate}}/{{toDate}}")


def public_app(
    health: Health, registration: Registration, submission: Submission, status_service: StatusService
) -> Application:
    """The public listener: the only operations that the outside can reach."""
    metrics = HttpMetrics(health.registry)
    submit = endpoint(SUBMIT, submission.submit, metrics)
    app = web.Application(middlewares=[envelope_errors], client_max_size=MAX_BODY_BYTES)
    app.add_routes(
        [
            *health_routes(health),
            web.post("/v1/client", endpoint(REGISTER, registration.register, metrics)),
            web.post("/v2/datasets/requests/status/{requestid}", endpoint(STATUS, status_service.status, metrics)),
            *(web.post(path, submit) for path in DATASET_PATHS),
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
        submission = Submission(database, access, zone=settings.day_zone, filed=relay.wake)
        status_service = StatusService(session, settings.status_url, settings.service_token, access)
        # Not Kafka: while it is away, requests are accepted and wait in the outbox.
        health.checks["postgres"] = database.ping
        internal = web.Application()
        internal.add_routes([*health_routes(health), metrics_route(health)])
        public = public_app(health, Registration(access.keys), submission, status_service)
        await stack.enter_async_context(listening(internal, settings.host, settings.internal_port))
        await stack.enter_async_context(listening(public, settings.host, settings.port))
        await run_until_stopped(health, relay.run(health.stop, health.beat("relay"), settings.relay_interval))


def main() -> None:
    """The process."""
    run_process(serve)


if __name__ == "__main__":
    main()
