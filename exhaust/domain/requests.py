"""Requests: what a partner asks for. The states that a request goes through are in state_machine.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError
from schemas.operations import REQUEST_ID
from telemetry.resource_ids import canonical_resource_id, resource_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exhaust.domain.days import DayRange

MAX_TAGS: Final = 20
MAX_TAG_LENGTH: Final = 64
_REQUEST_ID: Final = re.compile(REQUEST_ID)
_RESOURCE_ID: Final = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,128}", re.ASCII)  # "." and ".." are places, not names


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """An accepted request, without the person who made it.

    Attributes:
        dataset: the dataset's own id, never an alias.
        resource: in canonical form.
        tags: sorted, without repetition; empty means no tag filter.
    """

    request_id: UUID
    dataset: str
    resource: str
    days: DayRange
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submitter:
    """The person who submits a request, and the partner that they act for.

    Attributes:
        user_id: the holder of the license key or token.
        username: as submitted; the audit and lists show it.
        synchronous: the caller's connection stays open until the download exists, so the request goes before others.
    """

    user_id: int
    partner_id: str
    username: str
    synchronous: bool = False


def partner_resource(partner_id: str, resource: str) -> str:
    """Return the resource id of the partner of a request, however the request names the partner.

    Args:
        partner_id: the plain id of a partner or channel; or its resource id, where a caller of v1 or v3 gives no other.
        resource: that is requested, in canonical form.
    """
    return resource if partner_id == resource else resource_id(partner_id)


def parse_request_id(text: str) -> UUID:
    """Parse a request id as written in a path.

    Raises:
        ExhaustError: INVALID_REQUESTID when it cannot be one.
    """
    # uuid.UUID alone would also take braces, a urn: prefix and hyphens anywhere.
    if not _REQUEST_ID.fullmatch(text):
        raise unknown_request()
    return UUID(text)


def unknown_request() -> ExhaustError:
    """Return the one error for a request id that is malformed, unknown or foreign."""
    return ExhaustError(ErrorCode.INVALID_REQUESTID, "there is no request with this requestid; check it")


def parse_resource(text: str) -> str:
    """Parse a resource id as written in a path into its canonical form.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is not 1 to 128 of A-Z a-z 0-9 . _ - or has nothing but dots.
    """
    if not _RESOURCE_ID.fullmatch(text):
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            "resourceId must be 1 to 128 letters, digits, dots, underscores or hyphens, and not dots alone",
        )
    return canonical_resource_id(text)


def parse_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Check tags, sort them and drop repetitions.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for an empty tag, a tag that is too long, or too many.
    """
    distinct = sorted(set(tags))
    if len(distinct) > MAX_TAGS:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"tags[]: {len(distinct)} tags were given, at most {MAX_TAGS} are allowed"
        )
    for tag in distinct:
        if not 1 <= len(tag) <= MAX_TAG_LENGTH or not is_storable_text(tag):
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                f"tags[]: a tag must have 1 to {MAX_TAG_LENGTH} characters and no NUL",
            )
    return tuple(distinct)
