"""The `exhaust` command: what operators do by hand."""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError

from exhaust.catalogue import CatalogueError, load_catalogue
from exhaust.errors import ExhaustError
from exhaust.grant_store import Grant, GrantStore, UnknownClientError
from exhaust.kafka import create_topics
from exhaust.objects import open_objects
from exhaust.postgres import migrate as migrate_database
from exhaust.postgres import open_database
from exhaust.requests import parse_resource
from exhaust.settings import DatasetSettings, KafkaSettings, ObjectSettings, OwnerSettings
from telemetry.resource_ids import resource_id

STACK_FILE = Path(".local/stack.json")

app = typer.Typer(
    help="Grant access to telemetry, and prepare the servers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def grant(
    *,
    client: Annotated[str, typer.Option(help="clientName, as registered.")],
    key_name: Annotated[str, typer.Option(help="licenseKeyName, as registered.")],
    resource: Annotated[str | None, typer.Option(help="Resource id to grant.")] = None,
    partner: Annotated[str | None, typer.Option(help="Partner id to grant, such as org.example.partner.name.")] = None,
    channel: Annotated[str | None, typer.Option(help="Channel id to grant.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only in this dataset; every dataset if left out.")] = None,
    expires: Annotated[datetime | None, typer.Option(help="UTC time at which the grant ends.")] = None,
) -> None:
    """Let the holder of a license key read a resource. Name it by exactly one of --resource, --partner, --channel."""
    named = [value for value in (resource, partner, channel) if value]
    if len(named) != 1:
        raise typer.BadParameter("give exactly one of --resource, --partner and --channel")
    granted = Grant(
        client_name=client,
        license_key_name=key_name,
        resource=parse_resource(resource) if resource else resource_id(named[0]),
        dataset=_dataset_id(dataset) if dataset else None,
        expires_at=expires.replace(tzinfo=UTC) if expires else None,
    )
    try:
        asyncio.run(_add_grant(granted))
    except UnknownClientError:
        raise typer.BadParameter(
            f"no license key named {key_name!r} of a client {client!r}; register it with POST /v1/client first"
        ) from None
    typer.echo(f"{client} / {key_name} may read resource {granted.resource}{_scope(granted)}.")


def _dataset_id(name: str) -> str:
    found = load_catalogue(DatasetSettings().catalogue).find(name)
    if found is None:
        raise typer.BadParameter(f"there is no dataset {name!r} in the catalogue")
    return found.id


def _scope(granted: Grant) -> str:
    dataset = f" in {granted.dataset}" if granted.dataset else ""
    return f"{dataset} until {granted.expires_at.isoformat()}" if granted.expires_at else dataset


async def _add_grant(granted: Grant) -> None:
    async with open_database(_owner_dsn(), pool_size=1) as database:
        await GrantStore(database).add(granted, actor=f"operator/{getpass.getuser()}")


def _owner_dsn() -> SecretStr:
    """The database's address: from the environment, else of the local stack that runs in this folder."""
    try:
        return OwnerSettings().postgres_owner_dsn
    except ValidationError:
        if not STACK_FILE.exists():
            raise typer.BadParameter(
                f"set EXHAUST_POSTGRES_OWNER_DSN, or run this where a local stack runs ({STACK_FILE} is not here)"
            ) from None
        return SecretStr(json.loads(STACK_FILE.read_text())["postgres"])


@app.command()
def migrate(
    runtime_role: Annotated[str, typer.Option(help="Database role of the running services.")] = "exhaust_runtime",
) -> None:
    """Bring the database's tables up to date."""

    async def run() -> list[str]:
        async with open_database(_owner_dsn(), pool_size=1) as database:
            return await migrate_database(database, runtime_role=runtime_role)

    applied = asyncio.run(run())
    typer.echo(f"Applied {', '.join(applied)}." if applied else "The tables are up to date.")


@app.command()
def topics() -> None:
    """Create the Kafka topics that are missing."""
    created = asyncio.run(create_topics(KafkaSettings()))
    typer.echo(f"Created {', '.join(created)}." if created else "All topics exist.")


@app.command()
def buckets() -> None:
    """Create the S3 buckets that are missing."""
    settings = ObjectSettings()

    async def run() -> list[str]:
        async with open_objects(settings) as objects:
            names = (settings.s3_raw_bucket, settings.s3_exhaust_bucket)
            return [name for name in names if await objects.create_bucket(name)]

    created = asyncio.run(run())
    typer.echo(f"Created {', '.join(created)}." if created else "Both buckets exist.")


def main() -> None:
    """The command; a refusal is one plain sentence and exit code 2, a server that is away exit code 1."""
    try:
        app()
    except ExhaustError as error:
        typer.echo(f"exhaust: {error.message}", err=True)
        raise SystemExit(1) from None
    except CatalogueError as error:
        typer.echo(f"exhaust: {error}", err=True)
        raise SystemExit(2) from None
    except ValidationError as error:
        for violation in error.errors(include_url=False, include_input=False, include_context=False):
            name = "EXHAUST_" + "_".join(map(str, violation["loc"])).upper()
            typer.echo(f"exhaust: {name}: {violation['msg']}; set it in the environment", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
