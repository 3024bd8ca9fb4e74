"""The reaper of uploads that a killed aggregator has left behind. Their parts take room, and no listing shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from exhaust.process.health import Health
    from exhaust.s3.store import ObjectStore

INTERVAL: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


async def reap_uploads(health: Health, objects: ObjectStore, bucket: str, abandoned_after: timedelta) -> None:
    """Abort abandoned multipart uploads, now and every hour until the stop. Several aggregators may do so at once.

    Args:
        health: of the process.
        objects: the store.
        bucket: where archives are written.
        abandoned_after: age from which an upload is taken for abandoned.
    """

    async def reap() -> None:
        reaped = await objects.abort_abandoned_uploads(bucket, started_before=datetime.now(UTC) - abandoned_after)
        if reaped:
            log.warning("s3.uploads_reaped", uploads=reaped)

    await run_periodically(health, "upload_reaper", reap, interval=INTERVAL)
