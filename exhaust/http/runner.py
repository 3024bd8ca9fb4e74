"""The start and the end of a listener's application, and the error for an address that it cannot listen at."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SHUTDOWN_TIMEOUT: Final = timedelta(seconds=10)


@asynccontextmanager
async def open_runner(
    app: web.Application, finish_within: timedelta = SHUTDOWN_TIMEOUT
) -> AsyncIterator[web.AppRunner]:
    """Start an application, and finish its requests in progress when the block ends, as far as they end in time."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=finish_within.total_seconds())
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@contextmanager
def listen_errors(host: str, port: int) -> Iterator[None]:
    """Turn errors of listening at an address into one that names it.

    Raises:
        ConfigurationError: there is no such address, or another process listens there.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
