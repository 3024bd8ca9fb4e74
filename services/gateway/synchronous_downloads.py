"""Synchronous downloads: the archive of a request, found or made while its caller waits."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.failures import RequestFailure
from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.requests import find_recent_outcome, find_request_state
from exhaust.s3.errors import ObjectMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from exhaust.domain.requests import DatasetRequest, Submitter
    from exhaust.postgres.database import Database
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from services.gateway.request_service import RequestService

# The outcome is looked for again after a share of the time that the caller has waited already, so that looking makes no
# wait longer by more than that share.
LOOK_SHARE: Final = 1 / 20
LEAST_INTERVAL: Final = timedelta(milliseconds=10)
MOST_INTERVAL: Final = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class SynchronousSettings:
    """The bounds of synchronous downloads.

    Attributes:
        max_wait: how long a caller waits for an archive.
        max_age: how long ago an archive may have been finished that serves another call.
    """

    max_wait: timedelta
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """A finished archive in the bucket.

    Attributes:
        digest: equal for equal bytes, whichever request made them.
        waited: the caller waited for it, so that the caller's rights may have changed meanwhile.
    """

    info: ObjectInfo
    digest: str
    waited: bool = False


class SynchronousDownloads:
    """Finds the archives of requests, or has them made."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        requests: RequestService,
        *,
        bucket: str,
        settings: SynchronousSettings,
    ) -> None:
        self._database = database
        self._objects = objects
        self._requests = requests
        self._bucket = bucket
        self._settings = settings

    async def archive(self, request: DatasetRequest, submitter: Submitter, traceparent: str) -> StoredArchive:
        """Return a recent archive of the same data, or create the request and wait for its archive.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE when it takes longer than a caller may wait; the work goes on, so that
                the next call finds it. INTERNAL_ERROR when the request failed.
        """
        outcome = await find_recent_outcome(self._database, request, max_age=self._settings.max_age)
        archive = await self._stored(outcome) if outcome is not None else None
        if archive is None:
            request_id = await self._requests.create(request, submitter, traceparent)
            archive = await self._stored(await self._wait_for_outcome(request_id))
            if archive is None:
                raise ExhaustError(ErrorCode.INTERNAL_ERROR, "the download vanished; ask again")
            return replace(archive, waited=True)
        return archive

    async def record_download(self, request: DatasetRequest, submitter: Submitter) -> None:
        """Record in the audit that the submitter reads an archive; call it before the first byte is sent."""
        days = request.days
        async with self._database.transaction() as connection:
            await record_action(
                connection,
                actor=f"user/{submitter.user_id}",
                action=Action.DOWNLOAD,
                subject=f"resource/{request.resource}",
                detail={"dataset": request.dataset, "from": days.first.isoformat(), "to": days.last.isoformat()},
            )

    async def _stored(self, outcome: Mapping[str, Any]) -> StoredArchive | None:
        try:
            info = await self._objects.head(self._bucket, str(outcome["key"]))
        except ObjectMissingError:
            return None
        # Of an archive that a job elsewhere wrote nothing is known but what the store says.
        return StoredArchive(info, str(outcome.get("digest", info.etag)))

    async def _wait_for_outcome(self, request_id: UUID) -> Mapping[str, Any]:
        began = time.monotonic()
        while (waited := timedelta(seconds=time.monotonic() - began)) < self._settings.max_wait:
            found = await find_request_state(self._database, request_id)
            if found is None:
                raise ExhaustError(ErrorCode.INTERNAL_ERROR, "the request for this dataset was deleted; ask again")
            if found.state is State.COMPLETE:
                return found.outcome or {}
            if found.state is State.FAILED:
                failure = RequestFailure.of(found.outcome)
                raise ExhaustError(ErrorCode.INTERNAL_ERROR, f"the dataset could not be made: {failure.message}")
            if found.state is State.CANCELLED:
                raise ExhaustError(ErrorCode.INTERNAL_ERROR, "the request for this dataset was cancelled; ask again")
            interval = min(max(waited * LOOK_SHARE, LEAST_INTERVAL), MOST_INTERVAL)
            await asyncio.sleep(interval.total_seconds())
        raise ExhaustError(
            ErrorCode.SERVICE_UNAVAILABLE, "the dataset is still being made; the same call will find it in a while"
        )
