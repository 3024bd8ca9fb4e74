"""The applications of the gateway's two listeners: the public one, and the internal one of operators and services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.http.app import edge_app, service_token_check
from exhaust.http.endpoint import HttpMetrics, endpoint
from exhaust.http.health import health_routes, metrics_route
from schemas.bodies import EmptyBody, KeyBody
from schemas.operations import (
    CANCEL,
    DAYS,
    DAYS_PATH,
    DELETE_PATH,
    DELETE_REQUEST,
    DOWNLOAD,
    DOWNLOAD_PATH,
    ESTIMATE,
    EVENTS,
    EVENTS_PATH,
    LIST,
    LIST_ALL,
    LIST_ALL_PATH,
    LIST_PATH,
    RETRY,
    RETRY_PATH,
    STATUS,
    STATUS_PATH,
    UPDATE_PATH,
    UPDATE_STATUS,
    UpdateBody,
)
from services.gateway.api_document import listener_part, load_document
from services.gateway.handlers.contract import contract_routes
from services.gateway.handlers.days import EstimateBody
from services.gateway.handlers.docs import docs_routes
from services.gateway.handlers.download import DOWNLOAD_V1, DOWNLOAD_V3, DownloadBody
from services.gateway.handlers.help import help_routes
from services.gateway.handlers.me import ME, ME_PATH
from services.gateway.handlers.register import REGISTER, RegisterBody
from services.gateway.handlers.submit import SUBMIT, SubmitBody
from services.gateway.rate_limits import REGISTER_PATH

if TYPE_CHECKING:
    from pydantic import SecretStr

    from exhaust.process.health import Health
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
    from services.gateway.rate_limits import RateLimits

# No dataset is called "requests", so paths of requests never match a dataset operation.
DATASET: Final = "/{datasetId:(?!requests/)[^/]+}"
RESOURCE: Final = f"{DATASET}/{{resourceId}}"
RESOURCE_PATHS: Final = (RESOURCE, f"{RESOURCE}/{{fromDate}}", f"{RESOURCE}/{{fromDate}}/{{toDate}}")


@dataclass(frozen=True, slots=True)
class Operations:
    """The handlers of the gateway's operations; without one for webhooks there are none."""

    register: RegisterHandler
    submit: SubmitHandler
    download: DownloadHandler
    status: StatusHandler
    request_downloads: RequestDownloadHandler
    me: MeHandler
    request_actions: RequestActionHandler
    request_events: RequestEventsHandler
    days: DaysHandler
    admin: AdminHandlers
    webhooks: WebhookHandler | None = None


def public_app(
    health: Health, operations: Operations, limits: RateLimits, cors: Cors, metrics: HttpMetrics
) -> web.Application:
    """Build the application of the public listener: these operations are all that the outside can reach."""
    estimate = endpoint(ESTIMATE, EstimateBody, operations.days.estimate, metrics)
    submit = endpoint(SUBMIT, SubmitBody, operations.submit.submit, metrics)
    download_v1 = endpoint(DOWNLOAD_V1, DownloadBody, operations.download.v1, metrics)
    get_v1 = endpoint(DOWNLOAD_V1, DownloadBody, operations.download.v1_by_get, metrics, needs_body=False)
    download_v3 = endpoint(DOWNLOAD_V3, EmptyBody, operations.download.v3, metrics, needs_body=False)
    get_request = endpoint(DOWNLOAD, EmptyBody, operations.request_downloads.download, metrics, needs_body=False)
    actions = operations.request_actions
    events = endpoint(EVENTS, EmptyBody, operations.request_events.events, metrics, needs_body=False)
    app = edge_app()
    limits.install(app)
    cors.install(app)
    app.add_routes(docs_routes(listener_part(load_document(), "public")))
    app.add_routes(help_routes())
    app.add_routes(
        [
            *health_routes(health),
            *(operations.webhooks.routes(metrics) if operations.webhooks else ()),
            web.post(REGISTER_PATH, endpoint(REGISTER, RegisterBody, operations.register.register, metrics)),
            web.post(STATUS_PATH, endpoint(STATUS, KeyBody, operations.status.status, metrics)),
            web.get(
                STATUS_PATH, endpoint(STATUS, EmptyBody, operations.status.status_by_get, metrics, needs_body=False)
            ),
            web.delete(STATUS_PATH, endpoint(CANCEL, KeyBody, operations.status.cancel, metrics, needs_body=False)),
            web.get(DOWNLOAD_PATH, get_request),  # and HEAD
            web.get(EVENTS_PATH, events, allow_head=False),
            web.post(RETRY_PATH, endpoint(RETRY, KeyBody, actions.retry, metrics, needs_body=False)),
            web.delete(DELETE_PATH, endpoint(DELETE_REQUEST, KeyBody, actions.delete, metrics, needs_body=False)),
            web.post(LIST_PATH, endpoint(LIST, KeyBody, operations.status.list_requests, metrics)),
            *_reads(operations, metrics),
            # Before submit, to which it would be a date.
            *(web.post(f"/v2/datasets{path}/estimate", estimate) for path in RESOURCE_PATHS),
            *(web.post(f"/v2/datasets{path}", submit) for path in RESOURCE_PATHS),
            *(web.post(f"/v1/datasets{path}", download_v1) for path in RESOURCE_PATHS),
            *(web.get(f"/v1/datasets{path}", get_v1) for path in RESOURCE_PATHS),  # and HEAD
        ]
    )
    for path in (DATASET, *RESOURCE_PATHS):
        app.router.add_post(f"/data/v3/datasets{path}", download_v3)
        app.router.add_get(f"/data/v3/datasets{path}", download_v3)  # and HEAD
    return app


def _reads(operations: Operations, metrics: HttpMetrics) -> list[web.RouteDef]:
    """Return the operations by GET, and HEAD, whose license key is in X-API-Key."""
    list_by_get = endpoint(LIST, EmptyBody, operations.status.list_by_get, metrics, needs_body=False)
    list_all = endpoint(LIST_ALL, EmptyBody, operations.status.list_all, metrics, needs_body=False)
    return [
        web.get(LIST_PATH, list_by_get),
        web.get(LIST_ALL_PATH, list_all),
        web.get(DAYS_PATH, endpoint(DAYS, EmptyBody, operations.days.days, metrics, needs_body=False)),
        web.get(ME_PATH, endpoint(ME, EmptyBody, operations.me.me, metrics, needs_body=False)),
    ]


def internal_app(health: Health, operations: Operations, token: SecretStr, metrics: HttpMetrics) -> web.Application:
    """Build the application of the internal listener; operations need the service token, health and metrics do not."""
    app = edge_app(service_token_check(token))
    app.add_routes(docs_routes(listener_part(load_document(), "internal")))
    app.add_routes(help_routes())
    app.add_routes(contract_routes())
    update = endpoint(UPDATE_STATUS, UpdateBody, operations.status.update, metrics)
    app.add_routes(
        [
            *health_routes(health),
            metrics_route(health),
            *operations.admin.routes(metrics),
            web.post(UPDATE_PATH, update),
        ]
    )
    return app
