"""The routes of health and metrics, for load balancers, supervisors and Prometheus."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.http.runner import listen_errors, open_runner
from exhaust.metrics.registry import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.process.health import Health


def health_routes(health: Health) -> list[web.RouteDef]:
    """Build GET /health/live (all loops turn) and /health/ready (all dependencies answer): each is 200 or 503."""

    async def live(_request: web.Request) -> web.Response:
        stalled = health.stalled()
        return web.json_response({"stalled": stalled}, status=503 if stalled else 200)

    async def ready(_request: web.Request) -> web.Response:
        problems = await health.unready()
        return web.json_response({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    return [web.get("/health/live", live), web.get("/health/ready", ready)]


def metrics_route(health: Health) -> web.RouteDef:
    """Build GET /metrics, in the text format of Prometheus."""

    async def metrics(_request: web.Request) -> web.Response:
        await health.note_readiness()
        return web.Response(body=health.registry.text(), headers={"Content-Type": CONTENT_TYPE})

    return web.get("/metrics", metrics)


@asynccontextmanager
async def open_health_listener(health: Health, host: str, port: int) -> AsyncIterator[None]:
    """Serve health and metrics at a port of their own until the block ends.

    It is aiohttp's own server, without deadlines and limits of the edge, so only our own callers may reach it.

    Raises:
        ConfigurationError: there is no such address, or another process listens there.
    """
    app = web.Application()
    app.add_routes([*health_routes(health), metrics_route(health)])
    async with open_runner(app) as runner:
        with listen_errors(host, port):
            await web.TCPSite(runner, host, port).start()
        yield
