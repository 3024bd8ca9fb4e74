"""The check of a claimed archive against the store. What is stored and shown of it comes from the store alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exhaust_contract.archive_keys import path_within_attempt
from exhaust_contract.refusals import RefusedEventError
from pydantic import ValidationError

from exhaust.domain.object_keys import CANCELLED, OUTCOME, PARTIAL
from exhaust.kafka.records import RejectionCode
from exhaust.s3.errors import ObjectMissingError
from schemas.events import Outcome, PartialOutcome, RequestedWork
from services.status.claims import RefusedCompletionError, place_of

if TYPE_CHECKING:
    from datetime import date

    from exhaust.domain.requests import DatasetRequest
    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from schemas.events import FinishedArchive


@dataclass(frozen=True, slots=True)
class PartialDownload:
    """The download of those days of a failed request that are finished.

    Attributes:
        key: of the object.
        missing: the days that it lacks.
    """

    key: str
    missing: tuple[date, ...]


class ArchiveCheck:
    """Looks at the objects that completion events and updates name."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    async def own(self, asked: DatasetRequest, attempt: int, claimed: FinishedArchive) -> dict[str, Any]:
        """Return the archive that the aggregator wrote for an attempt, if it is the one that is claimed.

        Raises:
            RefusedCompletionError: ARCHIVE_OUTSIDE_PREFIX, ARCHIVE_MISSING or ARCHIVE_DIFFERS.
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        _path_within_attempt(asked, attempt, claimed.key)
        stored = await self.head(claimed.key)
        if claimed.key != place_of(asked, attempt).archive_key:
            raise _differs("the object is not the archive of this request", "/archive/key")
        return await self.own_outcome(asked, attempt, stored, claimed)

    async def own_outcome(
        self, asked: DatasetRequest, attempt: int, stored: ObjectInfo, claimed: FinishedArchive | None = None
    ) -> dict[str, Any]:
        """Return what `outcome.json` beside the archive says, which must name the very data that was asked for.

        Args:
            asked: the request.
            attempt: the attempt.
            stored: the archive, as the store has it.
            claimed: what was said of it.

        Raises:
            RefusedCompletionError: ARCHIVE_MISSING or ARCHIVE_DIFFERS.
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        try:
            outcome = Outcome.model_validate_json(
                await self._objects.get(self._bucket, place_of(asked, attempt).outcome_key)
            )
        except ObjectMissingError as error:
            raise _missing(f"{OUTCOME} is not beside the archive") from error
        except ValidationError as error:
            raise _differs(f"{OUTCOME} beside the archive cannot be read") from error
        if outcome.request != _requested_work(asked):
            raise _differs("the archive is of other data than the request asks for")
        archive = outcome.archive
        if (archive.key, archive.size) != (stored.key, stored.size):
            raise _differs(f"the archive is not the one of {OUTCOME}")
        if claimed is not None and claimed != archive:
            raise _differs(f"the event says other things of the archive than {OUTCOME}", "/archive")
        return archive.model_dump(mode="json", exclude_none=True) | {"etag": stored.etag}

    async def partial(self, asked: DatasetRequest, attempt: int) -> PartialDownload:
        """Return the partial download that the aggregator wrote for an attempt, if it is of the very request.

        Raises:
            RefusedCompletionError: ARCHIVE_MISSING or ARCHIVE_DIFFERS.
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        place = place_of(asked, attempt)
        try:
            partial = PartialOutcome.model_validate_json(await self._objects.get(self._bucket, place.partial_key))
        except ObjectMissingError as error:
            raise _missing(f"there is no {PARTIAL}") from error
        except ValidationError as error:
            raise _differs(f"{PARTIAL} cannot be read") from error
        if partial.request != _requested_work(asked):
            raise _differs("the partial download is of other data than the request asks for")
        if not partial.missing or not set(partial.missing) < set(asked.days):
            raise _differs("the partial download lacks no day of the request, or all")
        stored = await self.head(place.partial_archive_key(partial.missing))
        if (partial.archive.key, partial.archive.size) != (stored.key, stored.size):
            raise _differs(f"the partial download is not the one of {PARTIAL}")
        return PartialDownload(stored.key, partial.missing)

    async def elsewhere(self, asked: DatasetRequest, attempt: int, claimed: FinishedArchive) -> dict[str, Any]:
        """Return the archive that a job elsewhere wrote right under the prefix of an attempt.

        Raises:
            RefusedCompletionError: ARCHIVE_OUTSIDE_PREFIX, ARCHIVE_MISSING or ARCHIVE_DIFFERS.
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        path = _path_within_attempt(asked, attempt, claimed.key)
        if "/" in path or path in {OUTCOME, CANCELLED}:
            raise RefusedCompletionError(RejectionCode.ARCHIVE_OUTSIDE_PREFIX, "the object is ours", "/archive/key")
        stored = await self.head(claimed.key)
        if stored.size != claimed.size:
            raise _differs(f"the object has {stored.size} bytes", "/archive/size")
        return external_archive(stored)

    async def head(self, key: str) -> ObjectInfo:
        """Return an object as the store has it.

        Raises:
            RefusedCompletionError: ARCHIVE_MISSING.
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._objects.head(self._bucket, key)
        except ObjectMissingError as error:
            raise _missing("there is no such object") from error


def external_archive(stored: ObjectInfo) -> dict[str, Any]:
    """Return what is known of an archive that a job elsewhere wrote."""
    return {"key": stored.key, "size": stored.size, "etag": stored.etag}


def _path_within_attempt(asked: DatasetRequest, attempt: int, key: str) -> str:
    try:
        return path_within_attempt(str(asked.request_id), attempt, key)
    except RefusedEventError as error:
        raise RefusedCompletionError(RejectionCode(error.code), error.reason, error.pointer) from error


def _missing(reason: str) -> RefusedCompletionError:
    return RefusedCompletionError(RejectionCode.ARCHIVE_MISSING, reason, "/archive/key")


def _differs(reason: str, pointer: str = "/archive") -> RefusedCompletionError:
    return RefusedCompletionError(RejectionCode.ARCHIVE_DIFFERS, reason, pointer)


def _requested_work(asked: DatasetRequest) -> RequestedWork:
    return RequestedWork(
        datasetid=asked.dataset,
        resourceid=asked.resource,
        fromdate=asked.days.first,
        todate=asked.days.last,
        tags=tuple(sorted(set(asked.tags))),
    )
