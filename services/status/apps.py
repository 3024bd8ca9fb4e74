"""The application of the status service's listener, which gateways and internal services call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.http.app import edge_app, service_token_check
from exhaust.http.endpoint import HttpMetrics, endpoint
from exhaust.http.health import health_routes, metrics_route
from schemas.bodies import EmptyBody
from schemas.operations import (
    CANCEL,
    DAYS_PATH,
    DELETE_PATH,
    DELETE_REQUEST,
    DOWNLOAD_PATH,
    ESTIMATE_PATH,
    ESTIMATED,
    EVENTS_PATH,
    KNOWN_DAYS,
    LINK,
    LIST,
    LIST_ALL,
    LIST_ALL_PATH,
    LIST_PATH,
    RETRY,
    RETRY_PATH,
    STATUS,
    STATUS_PATH,
    STATUSES,
    STATUSES_PATH,
    UPDATE_PATH,
    UPDATE_STATUS,
    WATCH,
    DaysBody,
    RetryBody,
    StatusesBody,
    UpdateBody,
    WatchBody,
)

if TYPE_CHECKING:
    from pydantic import SecretStr

    from exhaust.process.health import Health
    from services.status.action_calls import ActionCalls
    from services.status.cancel_calls import CancelCalls
    from services.status.day_calls import DayCalls
    from services.status.download_calls import DownloadCalls
    from services.status.status_calls import StatusCalls
    from services.status.update_calls import UpdateCalls
    from services.status.watch_calls import WatchCalls


@dataclass(frozen=True, slots=True)
class Operations:
    """The handlers of the status service's operations."""

    statuses: StatusCalls
    downloads: DownloadCalls
    cancels: CancelCalls
    updates: UpdateCalls
    actions: ActionCalls
    watches: WatchCalls
    days: DayCalls


def internal_app(health: Health, token: SecretStr, operations: Operations) -> web.Application:
    """Build the internal listener: operations need the service token, health and metrics do not."""
    app = edge_app(service_token_check(token))
    metrics = HttpMetrics(health.registry)
    statuses = operations.statuses
    delete = endpoint(DELETE_REQUEST, EmptyBody, operations.actions.delete, metrics, needs_body=False)
    app.add_routes(
        [
            *health_routes(health),
            metrics_route(health),
            web.post(STATUS_PATH, endpoint(STATUS, EmptyBody, statuses.status, metrics)),
            web.delete(STATUS_PATH, endpoint(CANCEL, EmptyBody, operations.cancels.cancel, metrics, needs_body=False)),
            web.post(STATUSES_PATH, endpoint(STATUSES, StatusesBody, statuses.statuses, metrics)),
            web.post(DOWNLOAD_PATH, endpoint(LINK, EmptyBody, operations.downloads.link, metrics)),
            web.post(UPDATE_PATH, endpoint(UPDATE_STATUS, UpdateBody, operations.updates.update, metrics)),
            web.post(EVENTS_PATH, endpoint(WATCH, WatchBody, operations.watches.watch, metrics)),
            web.post(RETRY_PATH, endpoint(RETRY, RetryBody, operations.actions.retry, metrics)),
            web.delete(DELETE_PATH, delete),
            web.post(LIST_PATH, endpoint(LIST, EmptyBody, statuses.page, metrics)),
            web.post(DAYS_PATH, endpoint(KNOWN_DAYS, DaysBody, operations.days.days, metrics)),
            web.post(ESTIMATE_PATH, endpoint(ESTIMATED, DaysBody, operations.days.estimate, metrics)),
            web.post(LIST_ALL_PATH, endpoint(LIST_ALL, EmptyBody, statuses.page_of_all, metrics)),
        ]
    )
    return app
