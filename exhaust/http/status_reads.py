"""What the gateway asks of the status service for several callers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from schemas.bodies import Body, ShortText, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_READS: Final = 100
STATUSES_PATH: Final = "/v2/statuses"


class StatusRead(NamedTuple):
    """A user reads how a request stands."""

    user_id: int
    request_id: UUID


class _Read(Body):
    userid: Annotated[WholeNumber, Field(ge=0, lt=2**63)]
    # UUID() takes more than this: braces, a prefix, no hyphens.
    requestid: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]


class StatusesBody(Body):
    """Several reads, at most MOST_READS."""

    reads: Annotated[list[_Read], Field(min_length=1, max_length=MOST_READS)]

    def wanted(self) -> list[StatusRead]:
        """The reads, in their order."""
        return [StatusRead(read.userid, UUID(read.requestid)) for read in self.reads]


class UpdateBody(Body):
    """The word of a job that aggregates elsewhere."""

    status: ShortText = None
    download_url: str | None = Field(None, validation_alias="downloadurl", max_length=4096)


def reads_body(reads: Sequence[StatusRead]) -> dict[str, object]:
    """The body that asks for these, at most MOST_READS."""
    return {"request": {"reads": [{"userid": user_id, "requestid": str(request)} for user_id, request in reads]}}
