"""Pausing partners and datasets: their requests are accepted, and wait in the outbox until somebody resumes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exhaust.domain.requests import parse_resource
from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.operations.orders import ItemResult
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.pauses import PausedKind, PauseTarget, add_pause, remove_pause
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.operations.orders import Order
    from exhaust.postgres.database import Database

MAX_PARTNER_LENGTH: Final = 256


def paused_partner(partner: str) -> PauseTarget:
    """Return the target of a partner's or channel's plain id.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    if not 1 <= len(partner) <= MAX_PARTNER_LENGTH or not is_storable_text(partner):
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"a partner's id has 1 to {MAX_PARTNER_LENGTH} characters and no NUL"
        )
    return PauseTarget(PausedKind.PARTNER, resource_id(partner), partner)


def paused_resource(resource: str) -> PauseTarget:
    """Return the target of the partner that a resource id stands for.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    canonical = parse_resource(resource)
    return PauseTarget(PausedKind.PARTNER, canonical, canonical)


def known_dataset(catalogue: Catalogue, name: str) -> Dataset:
    """Return a dataset, by its id or an alias.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for an unknown dataset.
    """
    dataset = catalogue.find(name)
    if dataset is None:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"there is no dataset {name!r} in the catalogue")
    return dataset


def paused_dataset(catalogue: Catalogue, name: str) -> PauseTarget:
    """Return the target of a dataset, by its id or an alias.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for an unknown dataset.
    """
    dataset = known_dataset(catalogue, name)
    return PauseTarget(PausedKind.DATASET, dataset.id, dataset.id)


async def pause(database: Database, target: PauseTarget, order: Order) -> ItemResult:
    """Pause a partner or a dataset: no request of it is released any more. What is released already goes on.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; nothing was changed.
    """
    async with database.transaction(dry_run=order.dry_run) as connection:
        present = await add_pause(connection, target, actor=order.actor, reason=order.reason)
        if present is not None:
            what = f"it is paused already, by {present.actor} since {present.since.isoformat(timespec='seconds')}"
            return ItemResult(target.subject, done=False, what=what)
        await record_action(
            connection,
            actor=order.actor,
            action=Action.PAUSE,
            subject=target.subject,
            detail={"reason": order.reason, "named": target.shown},
        )
    return ItemResult(target.subject, done=True, what=f"{_would(order, 'is')} paused")


async def resume(database: Database, target: PauseTarget, order: Order) -> ItemResult:
    """Let the requests of a partner or a dataset be released again.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; nothing was changed.
    """
    async with database.transaction(dry_run=order.dry_run) as connection:
        if not await remove_pause(connection, target):
            return ItemResult(target.subject, done=False, what="it is not paused")
        await record_action(
            connection,
            actor=order.actor,
            action=Action.RESUME,
            subject=target.subject,
            detail={"reason": order.reason, "named": target.shown},
        )
    return ItemResult(target.subject, done=True, what=f"{_would(order, 'is')} resumed")


def _would(order: Order, present: str) -> str:
    return "would be" if order.dry_run else present
