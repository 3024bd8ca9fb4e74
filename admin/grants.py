"""The commands that grant and withdraw resources."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from admin.connection import audit_actor, run_on_database
from admin.options import (
    Channel,
    ClientName,
    DatasetName,
    KeyName,
    Partner,
    Resource,
    as_utc,
    resolve_dataset,
    resolve_resource,
)
from admin.tables import print_table, printable, proven_word, tell
from exhaust.postgres.database import Database
from exhaust.postgres.grants import Grant, GrantStore, ListedGrant, OwnerKind
from exhaust.postgres.license_keys import find_user

grants_app = typer.Typer(help="What a client may read.", no_args_is_help=True)


@grants_app.command("add")
def grant(  # noqa: PLR0913 -- each option of a command is an argument
    *,
    client: ClientName,
    key_name: KeyName,
    resource: Resource = None,
    partner: Partner = None,
    channel: Channel = None,
    dataset: DatasetName = None,
    expires: Annotated[datetime | None, typer.Option(help="UTC time at which the grant ends.")] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Also when nobody has shown that the key belongs to the client.")
    ] = False,
) -> None:
    """Let the holder of a license key read a resource. Name it by exactly one of --resource, --partner, --channel.

    Its plain id is kept, and makes downloads faster for all who ask by the hash alone; so prefer it to --resource.
    """
    named = resolve_resource(resource, partner, channel)
    kind = OwnerKind.PARTNER if partner else OwnerKind.CHANNEL if channel else None
    granted = Grant(client, key_name, named, resolve_dataset(dataset), as_utc(expires), partner or channel, kind)
    run_on_database(lambda database: GrantStore(database).add(granted, actor=audit_actor(), unproven=unproven))
    end = f" until {granted.expires_at.isoformat()}" if granted.expires_at else ""
    tell(f"{_holder(granted)} may read resource {granted.resource}{_scope(granted)}{end}.")


@grants_app.command("remove")
def remove(
    *,
    client: ClientName,
    key_name: KeyName,
    resource: Resource = None,
    partner: Partner = None,
    channel: Channel = None,
    dataset: Annotated[str | None, typer.Option(help="The grant for this dataset; every grant if left out.")] = None,
) -> None:
    """Withdraw a resource from the holder of a license key, effective at once."""
    withdrawn = Grant(client, key_name, resolve_resource(resource, partner, channel), resolve_dataset(dataset))

    async def work(database: Database) -> tuple[int, bool]:
        store = GrantStore(database)
        removed = await store.remove(withdrawn, actor=audit_actor())
        async with database.transaction() as connection:
            user_id = await find_user(connection, client, key_name)
        return removed, await store.may_read(user_id, withdrawn.resource, withdrawn.dataset)

    removed, still = run_on_database(work)
    what = f"resource {withdrawn.resource}{_scope(withdrawn)}"
    if removed:
        tell(f"Withdrew {removed} grant(s) of {_holder(withdrawn)} on {what}.", {"removed": removed})
    if still:
        typer.echo(f"{_holder(withdrawn)} still may read {what}, by a grant on every dataset.", err=True)
    if still or not removed:
        if not still:
            typer.echo(f"{_holder(withdrawn)} had no grant on {what}.", err=True)
        raise typer.Exit(1)


@grants_app.command("list")
def list_grants(
    client: ClientName,
    key_name: Annotated[str | None, typer.Option(help="Only of this licenseKeyName.")] = None,
) -> None:
    """Show what a client may read, with the grants that have ended."""
    _show(run_on_database(lambda database: GrantStore(database).find_by_client(client, key_name)))


def who_has_access(
    resource: Resource = None,
    partner: Partner = None,
    channel: Channel = None,
    dataset: DatasetName = None,
) -> None:
    """Show who may read a resource now, and by which grant."""
    wanted, within = resolve_resource(resource, partner, channel), resolve_dataset(dataset)
    _show(run_on_database(lambda database: GrantStore(database).find_by_resource(wanted, within)))


def _show(grants: Sequence[ListedGrant]) -> None:
    print_table(
        ("client", "key name", "resource", "owner", "dataset", "expires", "proven", "registered"),
        [
            (
                listed.grant.client_name,
                listed.grant.license_key_name,
                listed.grant.resource,
                printable(listed.grant.owner),
                listed.grant.dataset or "every",
                listed.grant.expires_at,
                proven_word(proven=listed.proven),
                listed.registered_at,
            )
            for listed in grants
        ],
    )


def _holder(grant: Grant) -> str:
    return f"{printable(grant.client_name)} / {printable(grant.license_key_name)}"


def _scope(grant: Grant) -> str:
    return f" in {grant.dataset}" if grant.dataset else ""
