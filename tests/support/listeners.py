"""The listeners of the services as route tables, without anything behind them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from exhaust.http.endpoint import Endpoint, HttpMetrics
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.health import Health
from services.gateway.apps import Operations, internal_app, public_app
from services.gateway.cors import Cors
from services.gateway.handlers.admin.audit import AuditHandler
from services.gateway.handlers.admin.clients import ClientHandler
from services.gateway.handlers.admin.grants import GrantHandler
from services.gateway.handlers.admin.keys import KeyHandler
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
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from services.status import apps as status_apps
from services.status.action_calls import ActionCalls
from services.status.cancel_calls import CancelCalls
from services.status.day_calls import DayCalls
from services.status.download_calls import DownloadCalls
from services.status.status_calls import StatusCalls
from services.status.update_calls import UpdateCalls
from services.status.watch_calls import WatchCalls

if TYPE_CHECKING:
    from aiohttp import web

    from schemas.bodies import Body

T = TypeVar("T")
LISTENERS = ("public", "internal", "status")


def listener_app(listener: str) -> web.Application:
    """Build what one of LISTENERS serves."""
    if listener == "status":
        calls = _hollow(StatusCalls), _hollow(DownloadCalls), _hollow(CancelCalls), _hollow(UpdateCalls)
        others = _hollow(ActionCalls), _hollow(WatchCalls), _hollow(DayCalls)
        operations_of_status = status_apps.Operations(*calls, *others)
        return status_apps.internal_app(Health(), SecretStr("a service token"), operations_of_status)
    operations = Operations(
        _hollow(RegisterHandler),
        _hollow(SubmitHandler),
        _hollow(DownloadHandler),
        _hollow(StatusHandler),
        _hollow(RequestDownloadHandler),
        _hollow(MeHandler),
        _hollow(RequestActionHandler),
        _hollow(RequestEventsHandler),
        _hollow(DaysHandler),
        AdminHandlers(_hollow(ClientHandler), _hollow(KeyHandler), _hollow(GrantHandler), _hollow(AuditHandler)),
        _hollow(WebhookHandler),
    )
    health, metrics = Health(), HttpMetrics(MetricRegistry())
    if listener == "internal":
        return internal_app(health, operations, SecretStr("a service token"), metrics)
    return public_app(health, operations, RateLimits(LimitSettings(), time.monotonic), Cors(()), metrics)


def endpoints(listener: str) -> dict[tuple[str, str], Endpoint[Body]]:
    """Find the operations of a listener, by method and path."""
    served = {}
    for route in listener_app(listener).router.routes():
        owner = getattr(route.handler, "__self__", None)
        if isinstance(owner, Endpoint) and route.resource is not None:
            served[route.method, route.resource.canonical] = owner
    return served


def _hollow(kind: type[T]) -> T:
    """Make something of a kind that has its methods and nothing else: enough to put them into a route table."""
    return object.__new__(kind)
