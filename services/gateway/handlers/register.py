"""POST /v1/client: a client registers and gets a license key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from exhaust.domain.client_names import check_name
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import require_text
from exhaust.process.failpoints import failpoint
from schemas.bodies import KeyBody, ShortText
from schemas.operations import Operation
from services.gateway.registration import check_registration, require_key_of_client

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import Client, KeyStore
    from services.gateway.settings import LimitSettings

REGISTER: Final = Operation("ekstep.data_exhaust_client", "1.0", "register", "v1")


class RegisterBody(KeyBody):
    """The body of a registration: the names of the client and of its new key, and a key that it has already."""

    client_name: ShortText = Field(None, validation_alias="clientName")
    license_key_name: ShortText = Field(None, validation_alias="licenseKeyName")


class RegisterHandler:
    """Registers clients, where the settings allow it. Registering grants nothing."""

    def __init__(self, keys: KeyStore, limits: LimitSettings) -> None:
        self._keys = keys
        self._limits = limits

    async def register(self, call: Call[RegisterBody]) -> Answer:
        """Register a client and answer its license key, once."""
        has_token = check_registration(self._limits, call.http.headers)
        client_name = _name(call.body.client_name, "clientName")
        key_name = _name(call.body.license_key_name, "licenseKeyName")
        shown = await self._shown_key(call)
        only_proven = self._limits.registration == "proven" and not has_token
        if only_proven:
            require_key_of_client(shown, client_name)
        license_key = await self._keys.register(client_name, key_name, vouched_by=shown, only_proven=only_proven)
        failpoint("register.before_answer")
        return Answer({"licenseKey": license_key}, headers={"Cache-Control": "no-store"})

    async def _shown_key(self, call: Call[RegisterBody]) -> Client | None:
        """Return the holder of the license key that came with the call; None when none did.

        Raises:
            ExhaustError: LOGIN_FAILED for a key that is not valid: whoever shows one means to prove something.
        """
        license_key = call.http.headers.get("X-API-Key") or call.body.license_key
        if license_key is None or not license_key.strip():
            return None
        client = await self._keys.authenticate(license_key)
        if client is None:
            raise ExhaustError(
                ErrorCode.LOGIN_FAILED, "the license key is invalid; register without it, or with a valid one"
            )
        return client


def _name(text: str | None, field: str) -> str:
    return check_name(require_text(text, ErrorCode.INVALID_DATA_ERROR, field), field)
