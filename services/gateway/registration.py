"""The registration of clients."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.database import UniqueConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.postgres.license_keys import KeyStore
    from services.gateway.settings import LimitSettings


def check_registration(settings: LimitSettings, headers: Mapping[str, str]) -> None:
    """Refuse a caller who may not register.

    Args:
        settings: open, token or closed.
        headers: with `Authorization: Bearer <registration token>` where one is needed.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED when registration is closed, LOGIN_FAILED without the token.
    """
    if settings.registration == "closed":
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "registration is closed; ask the operator for a license key")
    if settings.registration == "token" and settings.registration_token is not None:
        expected = f"Bearer {settings.registration_token.get_secret_value()}".encode()
        given = headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, expected):
            raise ExhaustError(
                ErrorCode.LOGIN_FAILED, "registration needs the operator's registration token as a bearer token"
            )


async def register_client(keys: KeyStore, client_name: str, license_key_name: str) -> str:
    """Register a client and return its license key, which is shown this once.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when the client has a key of that name.
    """
    try:
        return await keys.register(client_name, license_key_name)
    except UniqueConflictError as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR,
            f"client {client_name!r} already has a license key named {license_key_name!r}; choose another"
            " licenseKeyName",
        ) from error
