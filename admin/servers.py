"""The servers that a command looks at, as far as they answer, and what it could not see."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
import typer

from admin.connection import lag_dsn, lag_kafka
from exhaust.errors import ExhaustError
from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.postgres.database import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.kafka.topic_reader import TopicReader
    from exhaust.postgres.database import Database
    from exhaust.settings import KafkaSettings


@dataclass(slots=True)
class Servers:
    """The servers.

    Attributes:
        database: as its owner; None when it could not be opened.
        kafka: its settings; None when nothing says where it is.
        reader: of its topics; None when it could not be opened.
        unseen: sentences about what could not be seen.
    """

    database: Database | None = None
    kafka: KafkaSettings | None = None
    reader: TopicReader | None = None
    unseen: list[str] = field(default_factory=list)

    def tell_unseen(self) -> None:
        """Say what could not be seen."""
        for sentence in self.unseen:
            typer.echo(f"exhaustctl: not seen: {sentence}", err=True)


@asynccontextmanager
async def open_servers(*, pool_size: int = 1) -> AsyncIterator[Servers]:
    """Open the database and Kafka, or one of them, for the time of the block.

    Raises:
        typer.BadParameter: nothing says where either is.
        ExhaustError: SERVICE_UNAVAILABLE: neither answers.
    """
    dsn, kafka = lag_dsn(), lag_kafka()
    if dsn is None and kafka is None:
        raise typer.BadParameter("set EXHAUST_POSTGRES_OWNER_DSN and EXHAUST_KAFKA_BOOTSTRAP, or one of them")
    # What the drivers meet is told on standard error: nothing but the answer stands on standard output.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    servers, refusals = Servers(kafka=kafka), []
    async with AsyncExitStack() as stack:
        if dsn is None:
            servers.unseen.append("the database, because EXHAUST_POSTGRES_OWNER_DSN is not set")
        else:
            try:
                servers.database = await stack.enter_async_context(open_database(dsn, pool_size=pool_size))
            except ExhaustError as error:
                refusals.append(error)
        if kafka is None:
            servers.unseen.append("Kafka, because EXHAUST_KAFKA_BOOTSTRAP is not set")
        else:
            try:
                servers.reader = await stack.enter_async_context(open_topic_reader(kafka))
            except ExhaustError as error:
                refusals.append(error)
        servers.unseen += [error.message for error in refusals]
        if servers.database is None and servers.reader is None:
            raise refusals[0]
        yield servers
