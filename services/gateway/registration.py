"""Registration: who may register."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.postgres.license_keys import Client
    from services.gateway.settings import LimitSettings


def check_registration(settings: LimitSettings, headers: Mapping[str, str]) -> bool:
    """Return whether a caller shows the registration token, and refuse a caller who may not register at all.

    Args:
        settings: open, proven, token or closed.
        headers: with `Authorization: Bearer <registration token>` where one is needed.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED when registration is closed, LOGIN_FAILED without the token that it needs.
    """
    if settings.registration == "closed":
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "registration is closed; ask the operator for a license key")
    if settings.registration_token is None:
        return False
    expected = f"Bearer {settings.registration_token.get_secret_value()}".encode()
    given = headers.get("Authorization", "").encode(errors="surrogateescape")
    has_token = hmac.compare_digest(given, expected)
    if settings.registration == "token" and not has_token:
        raise ExhaustError(
            ErrorCode.LOGIN_FAILED, "registration needs the operator's registration token as a bearer token"
        )
    return has_token


def require_key_of_client(shown: Client | None, client_name: str) -> None:
    """Refuse a registration that no license key of the same client came with.

    Raises:
        ExhaustError: LOGIN_FAILED without a key, AUTHORIZATION_FAILED with one of another client.
    """
    if shown is None:
        raise ExhaustError(
            ErrorCode.LOGIN_FAILED,
            "registration needs a valid license key of the client, as X-API-Key or request/licenseKey; a new client"
            " asks the operator",
        )
    if shown.client_name != client_name:
        raise ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED,
            "this license key is another client's; show one of the client that registers",
        )
