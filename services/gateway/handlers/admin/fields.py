"""Fields of the bodies of several internal operations, and their checks."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from exhaust.domain.requests import parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.envelope import require_text
from exhaust.postgres.grants import OwnerKind
from schemas.bodies import Body, ShortText


class OperatorBody(Body):
    """A body that names the person who acts, for the audit."""

    operator: ShortText = None


class ClientBody(Body):
    """A body that names a client."""

    client_name: ShortText = Field(None, validation_alias="clientName")


class UserBody(ClientBody):
    """A body that names a user: a client and one of its keys."""

    license_key_name: ShortText = Field(None, validation_alias="licenseKeyName")


class ResourceBody(Body):
    """A body that names a resource, in one dataset or in all."""

    resource_id: ShortText = Field(None, validation_alias="resourceId")
    dataset_id: ShortText = Field(None, validation_alias="datasetId")


class OwnerBody(Body):
    """A body that may name the partner or channel whose resource it is."""

    owner_id: ShortText = Field(None, validation_alias="ownerId")
    owner_kind: ShortText = Field(None, validation_alias="ownerKind")


class UnprovenBody(Body):
    """A body that may say that an unproven key gets a grant all the same."""

    unproven: bool | None = None


def client_name(body: ClientBody) -> str:
    """Return the client's name.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is missing.
    """
    return require_text(body.client_name, ErrorCode.INVALID_DATA_ERROR, "clientName")


def user_names(body: UserBody) -> tuple[str, str]:
    """Return the names of the client and of its key.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when one is missing.
    """
    key_name = require_text(body.license_key_name, ErrorCode.INVALID_DATA_ERROR, "licenseKeyName")
    return client_name(body), key_name


def resource(body: ResourceBody) -> str:
    """Return the resource in canonical form.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is missing or malformed.
    """
    return parse_resource(require_text(body.resource_id, ErrorCode.INVALID_DATA_ERROR, "resourceId"))


def owner(body: OwnerBody) -> tuple[str | None, OwnerKind | None]:
    """Return the plain id of the owner, and its kind; None for what is missing.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when the id cannot be stored, or the kind is none.
    """
    kind = optional_text(body.owner_kind, "ownerKind")
    if kind is not None and kind not in set(OwnerKind):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/ownerKind must be one of: {', '.join(OwnerKind)}")
    return optional_text(body.owner_id, "ownerId"), OwnerKind(kind) if kind else None


def actor(body: OperatorBody) -> str:
    """Return the actor that the audit records.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is a text that cannot be stored.
    """
    return f"service/{optional_text(body.operator, 'operator') or 'internal'}"


def optional_text(text: str | None, name: str) -> str | None:
    """Return a text; None when it is missing.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is blank or cannot be stored.
    """
    return require_text(text, ErrorCode.INVALID_DATA_ERROR, name) if text else None


def optional_time(text: str | None, name: str) -> datetime | None:
    """Parse an ISO 8601 time, in UTC when it has no offset; None when it is missing.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when it is no such time.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"request/{name} must be an ISO 8601 time, such as 2026-11-01T00:00:00Z"
        ) from error


def written(moment: datetime | None) -> str | None:
    """Return a time as answers show it."""
    return moment.isoformat() if moment else None
