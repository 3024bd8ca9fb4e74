"""POST /v1/admin/keys/…: an operator lists, rotates and revokes license keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from exhaust.http.endpoint import Answer
from exhaust.postgres.license_keys import OVERLAP
from schemas.bodies import OptionalNumber
from services.gateway.handlers.admin.fields import (
    ClientBody,
    OperatorBody,
    UserBody,
    actor,
    client_name,
    user_names,
    written,
)

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import KeyStore, LicenseKey

SECRET: Final = {"Cache-Control": "no-store"}


class RotateBody(UserBody, OperatorBody):
    """The body of a rotation: the key to be replaced, and how long both stay valid."""

    overlap_hours: OptionalNumber = Field(None, validation_alias="overlapHours", ge=0, le=24 * 365)


class RevokeBody(UserBody, OperatorBody):
    """The body of a revocation: a user's keys, or the one of a number."""

    key_number: OptionalNumber = Field(None, validation_alias="keyNumber", ge=1, lt=2**63)


class KeyHandler:
    """Lists and changes license keys."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def list_keys(self, call: Call[ClientBody]) -> Answer:
        """Answer all keys that a client ever had."""
        now = datetime.now(UTC)
        keys = await self._keys.find_by_client(client_name(call.body))
        return Answer({"keys": [_described(key, now) for key in keys]})

    async def rotate(self, call: Call[RotateBody]) -> Answer:
        """Make a new key and show it, once."""
        hours = call.body.overlap_hours
        overlap = OVERLAP if hours is None else timedelta(hours=hours)
        license_key = await self._keys.rotate(*user_names(call.body), actor=actor(call.body), overlap=overlap)
        return Answer({"licenseKey": license_key}, headers=SECRET)

    async def revoke(self, call: Call[RevokeBody]) -> Answer:
        """Revoke a user's keys, or the one of that number."""
        names = user_names(call.body)
        revoked = await self._keys.revoke(*names, actor=actor(call.body), number=call.body.key_number)
        return Answer({"revoked": revoked})


def _described(key: LicenseKey, now: datetime) -> dict[str, object]:
    return {
        "number": key.number,
        "clientName": key.client_name,
        "licenseKeyName": key.license_key_name,
        "state": key.state(now),
        "pepperVersion": key.pepper_version,
        "createdAt": key.created_at.isoformat(),
        "expiresAt": written(key.expires_at),
        "revokedAt": written(key.revoked_at),
        "proven": key.proven,
        "registeredAt": key.registered_at.isoformat(),
        "registeredBy": key.registered_by,
    }
