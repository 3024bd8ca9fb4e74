"""What the gateway asks of the status service for several callers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field, TypeAdapter

from exhaust.http.envelope import Lenient, WholeNumber, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_READS: Final = 100
STATUSES_PATH: Final = "/v2/statuses"


class StatusRead(NamedTuple):
    """A user reads how a request stands."""

    user_id: int
    request_id: UUID


class _Read(Lenient):
    userid: Annotated[WholeNumber, Field(ge=0, lt=2**63)]
    # UUID() takes more than this: braces, a prefix, no hyphens.
    requestid: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]


class _Part(Lenient):
    reads: Annotated[list[_Read], Field(min_length=1, max_length=MOST_READS)]


class _Body(Lenient):
    request: _Part


_BODY: Final = TypeAdapter(_Body)


def reads_body(reads: Sequence[StatusRead]) -> dict[str, object]:
    """The body that asks for these, at most MOST_READS."""
    return {"request": {"reads": [{"userid": user_id, "requestid": str(request)} for user_id, request in reads]}}


def parse_reads(body: object) -> list[StatusRead]:
    """What such a body asks for.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; the message lists every violation by its place.
    """
    return [StatusRead(read.userid, UUID(read.requestid)) for read in checked(_BODY, body).request.reads]
