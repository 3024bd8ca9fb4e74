"""Who is calling, and what they may read: the same two questions for every operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.grants import Wanted
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.http.endpoint import Call
    from exhaust.postgres.grants import GrantStore
    from exhaust.postgres.license_keys import Client, KeyStore
    from schemas.bodies import Body, KeyBody
    from services.gateway.auth.tokens.verifier import TokenVerifier
    from services.gateway.rate_limits import RateLimits


@dataclass(frozen=True, slots=True)
class Access:
    """Authentication and authorization."""

    keys: KeyStore
    grants: GrantStore
    catalogue: Catalogue
    tokens: TokenVerifier
    limits: RateLimits

    async def admit(self, call: Call[KeyBody]) -> Client:
        """The holder of the license key in a public call's body, when it calls not too often.

        Raises:
            ExhaustError: LOGIN_FAILED, or RATE_LIMITED.
        """
        client = await self.authenticate(call.body)
        self.limits.check_holder(call.http, client.user_id)
        return client

    async def admit_by_api_key(self, call: Call[Body]) -> Client:
        """The holder of the license key in X-API-Key, when it calls not too often.

        Raises:
            ExhaustError: LOGIN_FAILED, or RATE_LIMITED.
        """
        license_key = call.http.headers.get("X-API-Key")
        if license_key is None:
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "send the license key as X-API-Key")
        client = await self._authenticate(license_key)
        self.limits.check_holder(call.http, client.user_id)
        return client

    async def admit_by_header(self, call: Call[Body]) -> Client:
        """The holder of the bearer token, or beside X-Channel-ID of the X-API-Key, when it calls not too often.

        Raises:
            ExhaustError: LOGIN_FAILED, or RATE_LIMITED.
        """
        license_key = call.http.headers.get("X-API-Key")
        if license_key is not None and "X-Channel-ID" in call.http.headers:
            client = await self.keys.authenticate(license_key)
        else:
            caller = await self.tokens.verify(_bearer_token(call.http.headers))
            client = await self.keys.by_subject(caller.issuer, caller.subject)
        self.limits.check_holder(call.http, client.user_id)
        return client

    async def authenticate(self, body: KeyBody) -> Client:
        """The holder of the license key in the body.

        Raises:
            ExhaustError: LOGIN_FAILED when it is missing, unknown or revoked.
        """
        return await self._authenticate(body.license_key)

    async def _authenticate(self, license_key: str | None) -> Client:
        if license_key is None or not license_key.strip():
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "request/licenseKey is mandatory and must not be blank")
        return await self.keys.authenticate(license_key)

    async def authorize_partner(self, client: Client, partner_id: str) -> None:
        """A key acts for a partner when it holds a grant on the partner's resource.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED.
        """
        if not await self.grants.holds(client.user_id, resource_id(partner_id), None):
            raise _not_for_partner()

    async def authorize(self, client: Client, dataset_name: str, resource: str) -> Dataset:
        """The dataset, when the caller may read the resource in it.

        Args:
            client: the caller.
            dataset_name: id or alias, as in the path.
            resource: in canonical form.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, the same for an unknown dataset, an unknown resource and no grant.
        """
        dataset = self.catalogue.find(dataset_name)
        if dataset is not None and await self.grants.holds(client.user_id, resource, dataset.id):
            return dataset
        raise _no_access()

    async def authorize_for_partner(
        self, client: Client, *, partner_id: str, dataset_name: str, resource: str
    ) -> Dataset:
        """As `authorize_partner` and then `authorize`, in one question to the database.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, as of these two.
        """
        dataset = self.catalogue.find(dataset_name)
        wanted = Wanted(client.user_id, partner_id, resource, dataset.id if dataset else None)
        (rights,) = await self.grants.rights([wanted])
        if not rights.acts_for_partner:
            raise _not_for_partner()
        if dataset is None or not rights.may_read:
            raise _no_access()
        return dataset


def _not_for_partner() -> ExhaustError:
    return ExhaustError(
        ErrorCode.AUTHORIZATION_FAILED, "this license key may not act for this partnerid; ask for a grant on it"
    )


def _no_access() -> ExhaustError:
    return ExhaustError(
        ErrorCode.AUTHORIZATION_FAILED,
        "this license key has no access to this dataset or resource; check both ids, or ask for a grant",
    )


def _bearer_token(headers: Mapping[str, str]) -> str:
    """What follows `Bearer `; empty, and so a bad token, when the header is missing or of another scheme."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
