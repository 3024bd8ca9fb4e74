"""Health and metrics over HTTP, for balancers, supervisors and Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from exhaust.process.health import Health


def health_routes(health: Health) -> list[web.RouteDef]:
    """GET /health/live (the loops turn) and /health/ready (dependencies answer, not draining): 200 or 503."""

    async def live(_request: web.Request) -> web.Response:
        stalled = health.stalled()
        return web.json_response({"stalled": stalled}, status=503 if stalled else 200)

    async def ready(_request: web.Request) -> web.Response:
        problems = await health.unready()
        return web.json_response({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    return [web.get("/health/live", live), web.get("/health/ready", ready)]


def metrics_route(health: Health) -> web.RouteDef:
    """GET /metrics, in Prometheus' text format."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(health.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return web.get("/metrics", metrics)
