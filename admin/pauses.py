"""The commands that pause partners and datasets: pause, resume, pauses."""

from collections.abc import Awaitable, Callable

import typer

from admin.connection import audit_actor, run_on_database
from admin.options import DatasetName, DryRun, Partner, Reason, Resource
from admin.results import Outcome, show_outcome
from admin.tables import print_table
from exhaust.domain.catalogue import load_catalogue
from exhaust.operations.orders import ItemResult, Order
from exhaust.operations.pausing import pause as pause_target
from exhaust.operations.pausing import paused_dataset, paused_partner, paused_resource
from exhaust.operations.pausing import resume as resume_target
from exhaust.postgres.database import Database
from exhaust.postgres.pauses import PauseTarget, find_pauses
from exhaust.settings import CatalogueSettings


def pause(
    *,
    reason: Reason,
    partner: Partner = None,
    resource: Resource = None,
    dataset: DatasetName = None,
    dry_run: DryRun = False,
) -> None:
    """Release no request of a partner or a dataset any more.

    Name it by one of --partner, --resource and --dataset. Submits are still accepted; what is released goes on.
    """
    _act(pause_target, _target(partner, resource, dataset), Order(audit_actor(), reason, dry_run))


def resume(
    *,
    reason: Reason,
    partner: Partner = None,
    resource: Resource = None,
    dataset: DatasetName = None,
    dry_run: DryRun = False,
) -> None:
    """Release requests of a partner or a dataset again."""
    _act(resume_target, _target(partner, resource, dataset), Order(audit_actor(), reason, dry_run))


def pauses() -> None:
    """Show what is paused, by whom and why."""
    print_table(
        ("kind", "name", "named", "since", "by", "reason"),
        [
            (found.target.kind, found.target.name, found.target.shown, found.since, found.actor, found.reason)
            for found in run_on_database(find_pauses)
        ],
    )


def _target(partner: str | None, resource: str | None, dataset: str | None) -> PauseTarget:
    if sum(map(bool, (partner, resource, dataset))) != 1:
        raise typer.BadParameter("give exactly one of --partner, --resource and --dataset")
    if partner:
        return paused_partner(partner)
    if resource:
        return paused_resource(resource)
    return paused_dataset(load_catalogue(CatalogueSettings().catalogue), dataset or "")


def _act(
    action: Callable[[Database, PauseTarget, Order], Awaitable[ItemResult]], target: PauseTarget, order: Order
) -> None:
    result = run_on_database(lambda database: action(database, target, order))
    show_outcome(Outcome([result]), dry_run=order.dry_run)
