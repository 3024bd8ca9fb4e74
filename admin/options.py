"""Options that several commands share, and how their values are read."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.durations import parse_duration
from exhaust.domain.requests import parse_resource
from exhaust.settings import CatalogueSettings
from telemetry.resource_ids import resource_id

ClientName = Annotated[str, typer.Option("--client", help="clientName, as registered.")]
KeyName = Annotated[str, typer.Option("--key-name", help="licenseKeyName, as registered.")]
Resource = Annotated[str | None, typer.Option("--resource", help="Resource id.")]
Partner = Annotated[str | None, typer.Option("--partner", help="Partner id, such as org.example.partner.name.")]
Channel = Annotated[str | None, typer.Option("--channel", help="Channel id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in your words; the audit keeps it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Only in this dataset; every dataset if left out.")]


def resolve_resource(resource: str | None, partner: str | None, channel: str | None) -> str:
    """Return the canonical resource id that exactly one of the three options names."""
    named = [value for value in (resource, partner, channel) if value]
    if len(named) != 1:
        raise typer.BadParameter("give exactly one of --resource, --partner and --channel")
    return parse_resource(resource) if resource else resource_id(named[0])


def resolve_dataset(name: str | None) -> str | None:
    """Return the dataset's own id for its id or alias; None for every dataset."""
    if not name:
        return None
    found = load_catalogue(CatalogueSettings().catalogue).find(name)
    if found is None:
        raise typer.BadParameter(f"there is no dataset {name!r} in the catalogue")
    return found.id


def as_utc(moment: datetime | None) -> datetime | None:
    """Return a time from the command line with UTC as its zone."""
    return moment.replace(tzinfo=UTC) if moment else None


def as_duration(text: str | None) -> timedelta | None:
    """Return the duration in a text such as 90s, 30m, 12h or 7d."""
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
