"""What must be in the servers before the services start."""

import asyncio
from typing import Annotated

import typer

from client.connection import on_database
from exhaust.kafka import create_topics
from exhaust.objects import open_objects
from exhaust.postgres import migrate as migrate_database
from exhaust.settings import KafkaSettings, ObjectSettings


def migrate(
    runtime_role: Annotated[str, typer.Option(help="Database role of the running services.")] = "exhaust_runtime",
) -> None:
    """Bring the database's tables up to date."""
    applied = on_database(lambda database: migrate_database(database, runtime_role=runtime_role))
    typer.echo(f"Applied {', '.join(applied)}." if applied else "The tables are up to date.")


def topics() -> None:
    """Create the Kafka topics that are missing."""
    created = asyncio.run(create_topics(KafkaSettings()))
    typer.echo(f"Created {', '.join(created)}." if created else "All topics exist.")


def buckets() -> None:
    """Create the S3 buckets that are missing."""
    settings = ObjectSettings()

    async def run() -> list[str]:
        async with open_objects(settings) as objects:
            names = (settings.s3_raw_bucket, settings.s3_exhaust_bucket)
            return [name for name in names if await objects.create_bucket(name)]

    created = asyncio.run(run())
    typer.echo(f"Created {', '.join(created)}." if created else "Both buckets exist.")
