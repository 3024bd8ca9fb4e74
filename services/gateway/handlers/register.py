"""POST /v1/client: a client registers and gets a license key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from exhaust.errors import ErrorCode
from exhaust.http.endpoint import Answer
from exhaust.http.envelope import require_text
from schemas.bodies import Body, ShortText
from schemas.operations import Operation
from services.gateway.registration import check_registration, register_client

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.license_keys import KeyStore
    from services.gateway.settings import LimitSettings

REGISTER: Final = Operation("ekstep.data_exhaust_client", "1.0")


class RegisterBody(Body):
    """The body of a registration: the names of the client and of its key."""

    client_name: ShortText = Field(None, validation_alias="clientName")
    license_key_name: ShortText = Field(None, validation_alias="licenseKeyName")


class RegisterHandler:
    """Registers clients, where the settings allow it. Registering grants nothing."""

    def __init__(self, keys: KeyStore, limits: LimitSettings) -> None:
        self._keys = keys
        self._limits = limits

    async def register(self, call: Call[RegisterBody]) -> Answer:
        """Register a client and answer its license key, once."""
        check_registration(self._limits, call.http.headers)
        client_name = require_text(call.body.client_name, ErrorCode.INVALID_DATA_ERROR, "clientName")
        key_name = require_text(call.body.license_key_name, ErrorCode.INVALID_DATA_ERROR, "licenseKeyName")
        license_key = await register_client(self._keys, client_name, key_name)
        return Answer({"licenseKey": license_key}, headers={"Cache-Control": "no-store"})
