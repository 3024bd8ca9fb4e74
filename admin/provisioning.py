"""The commands that prepare the servers before the services start."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from admin.connection import bucket_settings, run_on_database, topic_settings
from admin.tables import AS_JSON, json_rows, print_table, tell
from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.object_keys import expiry_by_prefix
from exhaust.kafka.topics import ConfigDifference, configuration_differences, configure_topics, create_topics
from exhaust.postgres.migrate import CONSOLE_ROLE, GATEWAY_ROLE, OPERATOR_ROLE, RUNTIME_ROLE, STATUS_ROLE
from exhaust.postgres.migrate import migrate as migrate_database
from exhaust.s3.store import open_object_store
from exhaust.settings import CatalogueSettings

_MIGRATION_STEP = timedelta(hours=1)  # an index of a large table takes minutes


def migrate(
    gateway_role: Annotated[
        str | None, typer.Option(help=f"Database role of the gateway. [default: {GATEWAY_ROLE}, if it exists]")
    ] = None,
    status_role: Annotated[
        str | None, typer.Option(help=f"Database role of the status service. [default: {STATUS_ROLE}, if it exists]")
    ] = None,
    console_role: Annotated[
        str | None, typer.Option(help=f"Database role of the console. [default: {CONSOLE_ROLE}, if it exists]")
    ] = None,
    operator_role: Annotated[
        str | None,
        typer.Option(help=f"Database role of the console's actions. [default: {OPERATOR_ROLE}, if it exists]"),
    ] = None,
    runtime_role: Annotated[
        str | None, typer.Option(help=f"One database role for all of them. [default: {RUNTIME_ROLE}, if it exists]")
    ] = None,
) -> None:
    """Bring the database's tables up to date, and give the roles of the services the rights that they need."""
    applied = run_on_database(
        lambda database: migrate_database(
            database,
            runtime_role=runtime_role,
            gateway_role=gateway_role,
            status_role=status_role,
            console_role=console_role,
            operator_role=operator_role,
        ),
        command_timeout=_MIGRATION_STEP,
    )
    tell(f"Applied {', '.join(applied)}." if applied else "The tables are up to date.", {"applied": applied})


def topics(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Give existing topics the configuration of new ones.")] = False,
) -> None:
    """Create the Kafka topics that are missing, and show where others are configured in another way."""
    settings = topic_settings()

    async def run() -> tuple[list[str], list[ConfigDifference]]:
        created = await create_topics(settings)
        differences = await configuration_differences(settings)
        if apply and differences:
            await configure_topics(settings)
        return created, differences

    created, differences = asyncio.run(run())
    headings = ("topic", "setting", "was" if apply else "is", "is now" if apply else "should be")
    rows = [(found.topic, found.name, found.present, found.wanted) for found in differences]
    tell(
        f"Created {', '.join(created)}." if created else "All topics exist.",
        {"created": created, "differences": json_rows(headings, rows)},
    )
    if differences:
        if not AS_JSON.get():
            print_table(headings, rows)
        if not apply:
            typer.echo("exhaustctl: `exhaustctl topics --apply` changes that", err=True)


def buckets() -> None:
    """Create the S3 buckets that are missing, and have finished downloads expire."""
    settings = bucket_settings()
    catalogue = load_catalogue(CatalogueSettings().catalogue)
    retention = timedelta(days=max(dataset.retention_days for dataset in catalogue.by_name.values()))

    async def run() -> list[str]:
        async with open_object_store(settings) as objects:
            names = (settings.s3_raw_bucket, settings.s3_exhaust_bucket)
            created = [name for name in names if await objects.create_bucket(name)]
            await objects.set_expiration(settings.s3_exhaust_bucket, expiry_by_prefix(retention))
            return created

    created = asyncio.run(run())
    tell(f"Created {', '.join(created)}." if created else "Both buckets exist.", {"created": created})
