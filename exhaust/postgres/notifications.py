"""A connection to PostgreSQL that hears NOTIFY."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from exhaust.postgres.database import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from pydantic import SecretStr

AGAIN_AFTER: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


async def listen(dsn: SecretStr, channel: str, heard: asyncio.Event, stop: asyncio.Event) -> None:
    """Set an event at each notification of a channel, until the stop.

    While the server is away or a pooler stands before it that hands no notification on, this hears nothing: whoever
    waits for the event must look by itself too, at times.
    """
    while not stop.is_set():
        try:
            await _hear(dsn, channel, heard, stop)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("notifications.waiting", channel=channel, error=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), AGAIN_AFTER.total_seconds())


async def _hear(dsn: SecretStr, channel: str, heard: asyncio.Event, stop: asyncio.Event) -> None:
    """Listen until the connection breaks or the stop."""
    connection = await asyncpg.connect(dsn.get_secret_value(), timeout=CONNECT_TIMEOUT.total_seconds())
    ended = asyncio.Event()
    try:
        connection.add_termination_listener(lambda *_: ended.set())
        await connection.add_listener(channel, lambda *_: heard.set())
        heard.set()  # what was said before
        waits = [asyncio.ensure_future(event.wait()) for event in (ended, stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
    finally:
        connection.terminate()
