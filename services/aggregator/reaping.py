"""Reap: uploads that a killed worker has left behind. Their parts cost room, and no listing shows them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from datetime import timedelta

    from exhaust.s3.store import Objects

_EVERY_S: Final = 3600.0

log = structlog.get_logger(__name__)


async def reap_uploads(objects: Objects, bucket: str, abandoned_after: timedelta, stop: asyncio.Event) -> None:
    """Abort abandoned multipart uploads, now and every hour until the stop. Several workers may; it does no harm.

    Args:
        objects: the store.
        bucket: where archives are written.
        abandoned_after: age of an upload that nobody can be working on any more.
        stop: ends it.
    """
    while not stop.is_set():
        try:
            reaped = await objects.reap_uploads(bucket, begun_before=datetime.now(UTC) - abandoned_after)
            if reaped:
                log.warning("s3.uploads_reaped", uploads=reaped)
        except ExhaustError as error:
            log.warning("s3.reaping_failed", error=error.message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _EVERY_S)
