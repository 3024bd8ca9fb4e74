"""A listener with the portal, and with the operations of the API that a test needs."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import load_catalogue
from exhaust.http.app import edge_app
from exhaust.http.endpoint import HttpMetrics
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.token_subjects import TokenSubjects
from exhaust.tokens.verifier import open_token_verifier
from services.gateway.auth.access import Access
from services.gateway.handlers.webhooks import WebhookHandler
from services.gateway.portal.app import PortalParts, install_portal
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import KeyStore
    from exhaust.s3.store import ObjectStore
    from services.gateway.portal.issuer_client import IssuerClient
    from services.gateway.webhook_service import WebhookService


@asynccontextmanager
async def open_portal(
    database: Database,
    keys: KeyStore,
    objects: ObjectStore,
    *,
    webhooks: WebhookService | None = None,
    issuer: IssuerClient | None = None,
    calls_by_address: int = 100_000,
) -> AsyncIterator[str]:
    """Listen until the block ends, and return the address."""
    limited = LimitSettings(holder_calls_per_minute=100_000, address_calls_per_minute=calls_by_address)
    limits, metrics = RateLimits(limited, time.monotonic), HttpMetrics(MetricRegistry())
    async with open_token_verifier(None) as tokens:
        access = Access(keys, TokenSubjects(database), GrantStore(database), load_catalogue(None), tokens, limits)
        app = edge_app()
        limits.install(app)
        if webhooks:
            app.add_routes(WebhookHandler(webhooks, access, database).routes(metrics))
        install_portal(app, PortalParts(database, access, objects, "exhaust", 0, issuer), metrics)
        port = closed_port()
        async with open_listener(app, "127.0.0.1", port):
            yield f"http://127.0.0.1:{port}"
