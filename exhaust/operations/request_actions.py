"""Retrying and cancelling requests, one or many: each is a transaction with its row of the audit.

A second run after a kill goes on where the first was: what is retried is in progress and refused, and what is cancelled
stays cancelled.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from exhaust.errors import ExhaustError
from exhaust.operations.orders import ItemResult, each_item
from exhaust.operations.pausing import known_dataset
from exhaust.postgres.request_commands import cancel_request, retry_request
from exhaust.postgres.request_lists import RequestFilter, Standing, list_requests
from exhaust.postgres.request_views import PageCursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from uuid import UUID

    from exhaust.domain.catalogue import Catalogue
    from exhaust.operations.orders import Order
    from exhaust.postgres.database import Database

PAGE: Final = 1000


def retry_requests(database: Database, requests: Iterable[UUID], order: Order) -> AsyncIterator[ItemResult]:
    """Start the next attempt at each request that failed or was cancelled.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; a second run does the rest.
    """
    return each_item(requests, partial(_retry, database, order))


def cancel_requests(database: Database, requests: Iterable[UUID], order: Order) -> AsyncIterator[ItemResult]:
    """Cancel each request that has not ended.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; a second run does the rest.
    """
    return each_item(requests, partial(_cancel, database, order))


def datasets_of(catalogue: Catalogue, dataset: str | None, source: str | None) -> tuple[str, ...] | None:
    """Return the own ids of the datasets that a cause is about, or None for all.

    Args:
        catalogue: has them.
        dataset: an id or an alias.
        source: the executor that builds them.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for an unknown dataset.
    """
    if dataset:
        return (known_dataset(catalogue, dataset).id,)
    if not source:
        return None
    return tuple({found.id for found in catalogue.by_name.values() if found.executor == source})


async def failed_requests(database: Database, cause: RequestFilter, *, limit: int | None = None) -> list[UUID]:
    """Return the requests that failed by one cause: with its code, of its object or datasets.

    Args:
        database: as whoever may read requests.
        cause: its code, object and datasets.
        limit: requests at most, the newest; None for all.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    page, found = replace(cause, standing=Standing.FAILED, limit=min(limit or PAGE, PAGE)), []
    while listed := await list_requests(database, page):
        found += [request.request_id for request in listed]
        if limit is not None and len(found) >= limit:
            return found[:limit]
        page = replace(page, after=PageCursor(listed[-1].created_at, listed[-1].request_id))
    return found


async def _retry(database: Database, order: Order, request_id: UUID) -> ItemResult:
    item = f"request/{request_id}"
    try:
        attempt = await retry_request(
            database, request_id, actor=order.actor, reason=order.reason, dry_run=order.dry_run
        )
    except ExhaustError as error:
        return _refused(item, error)
    return ItemResult(item, done=True, what=f"attempt {attempt} {'would be' if order.dry_run else 'is'} submitted")


async def _cancel(database: Database, order: Order, request_id: UUID) -> ItemResult:
    item = f"request/{request_id}"
    try:
        cancelled = await cancel_request(
            database, request_id, actor=order.actor, reason=order.reason, dry_run=order.dry_run
        )
    except ExhaustError as error:
        return _refused(item, error)
    if order.dry_run:
        return ItemResult(item, done=True, what=f"attempt {cancelled.attempt} would be cancelled")
    at = cancelled.cancelled_at.isoformat(timespec="seconds")
    return ItemResult(item, done=True, what=f"attempt {cancelled.attempt} was cancelled at {at}")


def _refused(item: str, error: ExhaustError) -> ItemResult:
    if error.retryable:
        raise error
    return ItemResult(item, done=False, what=error.message)
