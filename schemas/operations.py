"""The contract between gateway and status service: ids, paths, bodies and the user header of their internal calls.

Both services import it. The ids of the other operations stand beside their handlers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypedDict, final
from uuid import UUID

from pydantic import Field

from schemas.bodies import Body, ShortText, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation, with the documented `id` and `ver` that its answers show.

    Attributes:
        name: its name in metrics and logs; the documents give several operations one id.
        version: of the API, in its path.
        query: the query parameters that it has; each may be sent once.
        query_lists: those that may be sent several times, as `tags`, as `tags[]`, or with indexes as `tags[0]`.
    """

    id: str
    ver: str
    name: str = ""
    version: str = ""
    query: frozenset[str] = frozenset()
    query_lists: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """The name in metrics and logs; with the version it is another one for each operation."""
        return self.name or self.id


STATUS: Final = Operation(
    "ekstep.data_exhaust_dataset_request_status_service", "2.0", "status", "v2", query=frozenset({"wait"})
)
STATUSES: Final = Operation("ekstep.data_exhaust_dataset_request_statuses_service", "2.0", "statuses", "v2")
LIST: Final = Operation(
    "ekstep.data_exhaust_dataset_requests_service", "2.0", "list", "v2", query=frozenset({"limit", "next"})
)
LIST_ALL: Final = Operation(
    "ekstep.data_exhaust_dataset_requests_service", "2.0", "listall", "v2", query=frozenset({"limit", "next"})
)
DAYS: Final = Operation(
    "ekstep.data_exhaust_days_service",
    "2.0",
    "days",
    "v2",
    query=frozenset({"dataset", "from", "to"}),
    query_lists=frozenset({"resource"}),
)
# Of the status service, which reads the body and no query.
KNOWN_DAYS: Final = Operation("ekstep.data_exhaust_days_service", "2.0", "days", "v2")
ESTIMATE: Final = Operation(
    "ekstep.data_exhaust_dataset_estimate_service", "2.0", "estimate", "v2", query_lists=frozenset({"tags"})
)
ESTIMATED: Final = Operation("ekstep.data_exhaust_dataset_estimate_service", "2.0", "estimate", "v2")
CANCEL: Final = Operation("ekstep.data_exhaust_dataset_request_cancel_service", "2.0", "cancel", "v2")
DOWNLOAD: Final = Operation(
    "ekstep.data_exhaust_dataset_request_download_service", "2.0", "download", "v2", query=frozenset({"part"})
)
RETRY: Final = Operation("ekstep.data_exhaust_dataset_request_retry_service", "2.0", "retry", "v2")
DELETE_REQUEST: Final = Operation("ekstep.data_exhaust_dataset_request_delete_service", "2.0", "delete", "v2")
EVENTS: Final = Operation("ekstep.data_exhaust_dataset_request_events_service", "2.0", "events", "v2")
WATCH: Final = Operation(EVENTS.id, "2.0", "watch", "v2")
LINK: Final = Operation(DOWNLOAD.id, "2.0", "link", "v2", query=frozenset({"part", "method"}))
UPDATE_STATUS: Final = Operation("ekstep.data_exhaust_dataset_request_update_service", "2.0", "update", "v2")

STATUS_PATH: Final = "/v2/datasets/requests/status/{requestid}"
STATUSES_PATH: Final = "/v2/statuses"
LIST_PATH: Final = "/v2/datasets/requests/{partnerid}"
LIST_ALL_PATH: Final = "/v2/datasets/requests"
DAYS_PATH: Final = "/v2/days"
ESTIMATE_PATH: Final = "/v2/estimate"  # of the status service
UPDATE_PATH: Final = "/v2/datasets/requests/update/{requestid}"
RETRY_PATH: Final = "/v2/datasets/requests/{requestid}/retry"
DELETE_PATH: Final = LIST_PATH  # here the last part is the id of a request; OpenAPI has one name for both
EVENTS_PATH: Final = "/v2/datasets/requests/{requestid}/events"
DOWNLOAD_PATH: Final = "/v2/datasets/requests/{requestid}/download"
FINISHED_PART: Final = "finished"  # of a download: the days that are finished

USER_HEADER: Final = "X-Exhaust-User"  # carries the id of the user whom the gateway has authenticated
MAX_RESOURCES: Final = 20  # of one question about days
MAX_READS: Final = 100
MAX_WAIT: Final = timedelta(seconds=30)  # of `?wait=` in a status call

# uuid.UUID also accepts braces, a prefix, and no hyphens.
REQUEST_ID: Final = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_USER_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class StatusRead(NamedTuple):
    """One read: a user and the request whose status it wants."""

    user_id: int
    request_id: UUID


class _Read(Body):
    userid: Annotated[WholeNumber, Field(ge=0, lt=2**63)]
    requestid: Annotated[str, Field(pattern=f"^{REQUEST_ID}$")]


class StatusesBody(Body):
    """The body of a call that reads several statuses at once."""

    reads: Annotated[list[_Read], Field(min_length=1, max_length=MAX_READS)]

    def status_reads(self) -> list[StatusRead]:
        """Return the reads in the order in which they were sent."""
        return [StatusRead(read.userid, UUID(read.requestid)) for read in self.reads]


_ResourceId = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]
_ResourceIds = Annotated[list[_ResourceId], Field(max_length=MAX_RESOURCES)]


class DaysBody(Body):
    """The body of a question about days of a resource: which days, and the present day in the day zone.

    Attributes:
        resource_ids: all resources, where the question is about several; `resource_id` is the first of them.
    """

    dataset_id: Annotated[str, Field(validation_alias="datasetid", max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    resource_id: Annotated[_ResourceId, Field(validation_alias="resourceid")]
    resource_ids: Annotated[_ResourceIds, Field(validation_alias="resourceids", default_factory=list)]
    from_date: Annotated[str, Field(validation_alias="fromdate", max_length=10)]
    to_date: Annotated[str, Field(validation_alias="todate", max_length=10)]
    today: Annotated[str, Field(max_length=10)]
    tagged: bool = False
    partner: ShortText = None  # by resource id, who would ask; of a gateway of an earlier version it is the resource's


class UpdateBody(Body):
    """The body of an update by a job that aggregates elsewhere."""

    status: ShortText = None
    download_url: str | None = Field(None, validation_alias="downloadurl", max_length=4096)


class WatchBody(Body):
    """The body of a call that waits for a change of a request: the version that was seen, and seconds to wait."""

    seen: Annotated[str, Field(max_length=64)]
    wait: Annotated[WholeNumber, Field(ge=0, lt=31)]


class RetryBody(Body):
    """The limits within which a gateway retries; the same as of its submits."""

    openrequests: Annotated[WholeNumber, Field(ge=1)]
    daysbuilt: Annotated[WholeNumber, Field(ge=1)]
    bytesbuilt: Annotated[WholeNumber, Field(ge=1)]


@final
class ReadAnswer(TypedDict):
    """The answer to one read: the status of the request."""

    result: Mapping[str, object]


@final
class ReadFailure(TypedDict):
    """The refusal of one read: an error code, and a message for the user."""

    err: str
    errmsg: str


class StatusesResult(TypedDict):
    """The `result` of a call that reads several statuses: an answer or a failure for each read, in their order."""

    answers: list[ReadAnswer | ReadFailure]


def statuses_request(reads: Sequence[StatusRead]) -> dict[str, object]:
    """Build the `request` part that StatusesBody parses, of at most MAX_READS reads."""
    return {"reads": [{"userid": user_id, "requestid": str(request_id)} for user_id, request_id in reads]}


def update_request(body: UpdateBody) -> dict[str, object]:
    """Build the `request` part that UpdateBody parses."""
    return {"status": body.status, "downloadurl": body.download_url}


def watch_request(seen: str, wait: timedelta) -> dict[str, object]:
    """Build the `request` part that WatchBody parses."""
    return {"seen": seen, "wait": int(wait.total_seconds())}


def retry_request(open_requests: int, days_built: int, bytes_built: int) -> dict[str, object]:
    """Build the `request` part that RetryBody parses."""
    return {"openrequests": open_requests, "daysbuilt": days_built, "bytesbuilt": bytes_built}


def parse_user_id(header: str) -> int | None:
    """Parse the value of USER_HEADER; None when it is no user id."""
    return int(header) if _USER_ID.fullmatch(header) else None
