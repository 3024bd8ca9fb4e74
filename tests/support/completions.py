"""Completion events as the aggregator publishes them, and what it writes for them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import uuid4

from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest
from exhaust.postgres.inbox import EventIdentity
from schemas.events import SOURCE_AGGREGATOR, Completed, FinishedArchive, Outcome, RequestedWork
from services.status.claims import place_of
from services.status.request_states import Claim

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from exhaust.s3.store import ObjectStore
    from services.status.claims import Completion

DATASET = "eks-consumption-raw"


def claim(completion: Completion, event_id: str | None = None, *, source: str = SOURCE_AGGREGATOR) -> Claim:
    """The event as the consumer hands it on; under an id of its own when none is given."""
    digest = hashlib.sha256(completion.to_json()).digest()
    return Claim(EventIdentity(source, event_id or str(uuid4()), digest), completion)


def asked(request_id: UUID, resource: str, first: date, last: date) -> DatasetRequest:
    """What a request of the tests asks for: its only tag is its id, so that no two are the same."""
    return DatasetRequest(request_id, DATASET, resource, DayRange(first, last), (str(request_id),))


def completed(request: DatasetRequest, attempt: int, data: bytes) -> Completed:
    """The end of an attempt with this download."""
    archive = FinishedArchive(
        key=place_of(request, attempt).archive_key,
        size=len(data),
        digest="1" * 64,
        sha256=hashlib.sha256(data).hexdigest(),
        events=30,
        bytes=3000,
    )
    return Completed(requestid=request.request_id, attempt=attempt, archive=archive)


async def write_archive(
    objects: ObjectStore, bucket: str, request: DatasetRequest, attempt: int, data: bytes
) -> Completed:
    """Write a download and its outcome as the aggregator does; the event that reports it."""
    event = completed(request, attempt, data)
    work = RequestedWork(
        datasetid=request.dataset,
        resourceid=request.resource,
        fromdate=request.days.first,
        todate=request.days.last,
        tags=request.tags,
    )
    outcome = Outcome(request=work, archive=event.archive)
    await objects.put(bucket, event.archive.key, data)
    await objects.put(bucket, place_of(request, attempt).outcome_key, outcome.to_json())
    return event
