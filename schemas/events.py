"""The typed events of the topics, and the CloudEvents frame that carries them.

Each event also has a JSON Schema and an example beside this file; the tests hold the three against one another and
against what the services really send. Unknown fields are ignored, so that a newer sender can add some.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

TOPIC_REQUESTS: Final = "dataset.requests"
TOPIC_DAYS: Final = "dataset.days"
TOPIC_COMPLETIONS: Final = "dataset.completions"
TOPIC_DEAD_LETTERS: Final = "dataset.dead-letters"
TOPIC_BEATS: Final = "dataset.beats"
TOPICS: Final = (TOPIC_REQUESTS, TOPIC_DAYS, TOPIC_COMPLETIONS, TOPIC_DEAD_LETTERS, TOPIC_BEATS)
GROUP_PLAN: Final = "aggregator-plan"
GROUP_BUILD: Final = "aggregator-build"
GROUP_STATUS: Final = "status"

TYPE_REQUESTED: Final = "telemetry-exhaust.dataset.requested.v1"
TYPE_DAY_REQUESTED: Final = "telemetry-exhaust.day.requested.v1"
TYPE_PROGRESS: Final = "telemetry-exhaust.dataset.progress.v1"
TYPE_COMPLETED: Final = "telemetry-exhaust.dataset.completed.v1"
TYPE_FAILED: Final = "telemetry-exhaust.dataset.failed.v1"
TYPE_BEAT: Final = "telemetry-exhaust.worker.beat.v1"
SPEC_VERSION: Final = "1.0"  # of CloudEvents
OUR_SOURCES: Final = "/telemetry-exhaust/"  # how each ce_source of our own services begins
SOURCE_AGGREGATOR: Final = "/telemetry-exhaust/aggregator"

Count = Annotated[int, Field(ge=0, lt=2**53)]  # what every reader of JSON takes exactly
Attempt = Annotated[int, Field(ge=1, le=1000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DatasetId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ResourceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
Tag = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]  # what a database can store
WorkId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """A CloudEvents 1.0 event in Kafka's binary mode: attributes are headers, the value is the data.

    Attributes:
        id: unique within the source; the same happening has the same id however often it is sent.
        source: a URI reference that names the sender, such as /telemetry-exhaust/gateway.
        traceparent: W3C trace context, or empty.
    """

    id: str
    type: str
    source: str
    time: datetime
    traceparent: str
    data: bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the Kafka headers, with the names of the CloudEvents Kafka binding (3.2.3)."""
        attributes = {
            "ce_specversion": SPEC_VERSION,
            "ce_id": self.id,
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_time": self.time.isoformat(),
            "content-type": "application/json",
            "traceparent": self.traceparent,
        }
        return [(name, value.encode()) for name, value in attributes.items() if value]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """Return the data of the event as JSON, as it travels."""
        return self.model_dump_json(exclude_none=True).encode()


class DatasetRequested(_Data):
    """The event of dataset.requests: an accepted request, released for aggregation.

    Attributes:
        owner: plain id of the partner or channel whose resource it is, where the caller said it; it speeds the search.
    """

    requestid: UUID
    attempt: Attempt
    datasetid: DatasetId
    resourceid: ResourceId
    fromdate: date
    todate: date
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()
    owner: Annotated[str, Field(min_length=1, max_length=256)] | None = None


class DayRequested(DatasetRequested):
    """The event of dataset.days: one day to build. It carries the whole request, so that the last day can assemble."""

    day: date


class FinishedDay(_Data):
    """One day whose archive is durable.

    Attributes:
        bytes: of the selected event lines, uncompressed.
        reused: the archive existed before this request wanted it.
    """

    day: date
    state: Literal["ok", "empty"]
    events: Count
    bytes: Count
    unreadable: Count
    reused: bool


class FinishedArchive(_Data):
    """The outer zip of a complete request.

    Attributes:
        key: object name in the exhaust bucket, under the prefix of the request and attempt.
        size: of the zip, in bytes.
        digest: equal for equal zips, whichever request made them: a strong entity tag. Not the zip's SHA-256.
        sha256: of the zip; absent when the store copied parts of it, since nobody has read it then.
        bytes: of the selected event lines, uncompressed.
    """

    key: str
    size: Count
    digest: Sha256
    sha256: Sha256 | None = None
    events: Count
    bytes: Count


class RequestedWork(_Data):
    """The data that a request asks for.

    Attributes:
        datasetid: the dataset's own id.
        resourceid: in canonical form.
        tags: sorted, without repetition.
    """

    datasetid: str
    resourceid: str
    fromdate: date
    todate: date
    tags: tuple[str, ...]


class Outcome(_Data):
    """The object `outcome.json` beside a download of the aggregator: what was asked for, and what came of it."""

    request: RequestedWork
    archive: FinishedArchive


class FailedDay(_Data):
    """The marker of a failed day: the code and the sentence for partners."""

    day: date
    code: str
    message: str


class PartialOutcome(_Data):
    """The object `partial.json` beside a partial download: what was asked for, what there is, and the days it lacks."""

    request: RequestedWork
    archive: FinishedArchive
    missing: tuple[date, ...]


class Failure(_Data):
    """The reason why a request failed, for operators. Partners read our sentence for its code."""

    code: Text
    message: Text
    day: date | None = None
    object: Text | None = None


class _Completion(_Data):
    """What all completion events say.

    Attributes:
        workid: exhaust.domain.object_keys.work_id of what was worked on; jobs elsewhere leave it out.
    """

    requestid: UUID
    attempt: Attempt
    workid: WorkId | None = None


class Progress(_Completion):
    """An event of dataset.completions: work on the request goes on; `day` is set when one more day is finished."""

    status: Literal["inprogress"] = "inprogress"
    daystotal: Annotated[int, Field(ge=1)]
    day: FinishedDay | None = None


class Completed(_Completion):
    """An event of dataset.completions: the download exists."""

    status: Literal["complete"] = "complete"
    archive: FinishedArchive


class Failed(_Completion):
    """An event of dataset.completions: this attempt ended without a download."""

    status: Literal["failed"] = "failed"
    error: Failure


Completion = Annotated[Progress | Completed | Failed, Field(discriminator="status")]
COMPLETION: Final[TypeAdapter[Progress | Completed | Failed]] = TypeAdapter(Completion)


class DayInHand(_Data):
    """A day that a worker has in hand.

    Attributes:
        since: when it took the message.
    """

    requestid: UUID
    datasetid: DatasetId
    day: date
    since: datetime


class WorkerBeat(_Data):
    """An event of dataset.beats: what an aggregator does at the moment, and how much it has done since it started.

    Attributes:
        worker: a name for this run of the process.
        partitions: by topic, how many it reads.
        bytesdone: stored bytes of raw objects that it has read; it only grows.
        dayp95: of the seconds that its last 200 days took, the 95th percentile; absent before the first.
    """

    worker: Annotated[str, Field(min_length=1, max_length=256)]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    at: datetime
    partitions: dict[str, Count]
    days: Annotated[tuple[DayInHand, ...], Field(max_length=1000)] = ()
    bytesdone: Count
    dayp95: Annotated[float, Field(ge=0)] | None = None
