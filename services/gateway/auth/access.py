"""Authentication and authorization of callers, the same for every operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError, token_refused
from exhaust.postgres.grants import AccessQuery
from exhaust.postgres.token_subjects import TokenSubject
from services.gateway.auth.hints import no_access, not_for_partner
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.domain.catalogue import Catalogue, Dataset
    from exhaust.http.endpoint import Call
    from exhaust.postgres.grants import GrantStore
    from exhaust.postgres.license_keys import Client, KeyStore
    from exhaust.postgres.token_subjects import TokenSubjects
    from exhaust.tokens.verifier import TokenVerifier
    from schemas.bodies import Body, KeyBody
    from services.gateway.rate_limits import RateLimits


@dataclass(slots=True)
class SignedIn:
    """The holder of a session of the portal, in whose name a page makes one call.

    Attributes:
        key_number: of the license key that opened the session.
        is_fresh: the page has just looked the session up; True for the first look at the caller alone.
    """

    client: Client
    key_number: int
    is_fresh: bool = True


# Set by the portal for the holder of a session, whose license key it does not keep; no caller can set it.
SIGNED_IN: Final = web.RequestKey("signed_in", SignedIn)


@dataclass(frozen=True, slots=True)
class Access:
    """The authentication and authorization of callers."""

    keys: KeyStore
    subjects: TokenSubjects
    grants: GrantStore
    catalogue: Catalogue
    token_verifier: TokenVerifier
    rate_limits: RateLimits

    async def authenticate_and_throttle(self, call: Call[KeyBody], *, cost: int = 1) -> Client:
        """Return the holder of the license key in the body, and count the call against the holder's rate limit.

        Args:
            call: the call.
            cost: the calls that it counts as.

        Raises:
            ExhaustError: LOGIN_FAILED for a missing or wrong key, RATE_LIMITED for one call too many.
        """
        client = await self._signed_in(call) or await self.authenticate(call.body)
        return self._throttle(call, client, cost=cost)

    async def authenticate_api_key_and_throttle(self, call: Call[Body], *, cost: int = 1) -> Client:
        """Return the holder of the license key in X-API-Key, and count the call against the holder's rate limit.

        Args:
            call: the call.
            cost: the calls that it counts as.

        Raises:
            ExhaustError: LOGIN_FAILED for a missing or wrong key, RATE_LIMITED for one call too many.
        """
        return self._throttle(call, await self.authenticate_api_key(call), cost=cost)

    async def authenticate_token_and_throttle(self, call: Call[Body]) -> Client:
        """Return the client to which a bearer token is bound, and count the call against the client's rate limit.

        With X-Channel-ID, the caller may send a license key in X-API-Key instead of a token.

        Raises:
            ExhaustError: LOGIN_FAILED for a wrong token or key, RATE_LIMITED for one call too many.
        """
        license_key = call.http.headers.get("X-API-Key")
        if license_key is not None and "X-Channel-ID" in call.http.headers:
            return self._throttle(call, await self._find_holder(license_key))
        return self._throttle(call, await self._find_bearer(_bearer_token(call.http.headers)))

    async def authenticate(self, body: KeyBody) -> Client:
        """Return the holder of the license key in the body.

        Raises:
            ExhaustError: LOGIN_FAILED for a missing, unknown or revoked key.
        """
        return await self._authenticate_key(body.license_key)

    async def authenticate_api_key(self, call: Call[Body]) -> Client:
        """Return the holder of the license key in X-API-Key.

        Raises:
            ExhaustError: LOGIN_FAILED for a missing, unknown or revoked key.
        """
        signed_in = await self._signed_in(call)
        if signed_in is not None:
            return signed_in
        license_key = call.http.headers.get("X-API-Key")
        if license_key is None:
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "send the license key as X-API-Key")
        return await self._authenticate_key(license_key)

    async def _signed_in(self, call: Call[Body]) -> Client | None:
        """Return the holder of the session in whose name a page calls, if one does.

        Raises:
            ExhaustError: LOGIN_FAILED when the session's key was revoked since the page looked it up.
        """
        signed_in: SignedIn | None = call.http.get(SIGNED_IN)
        if signed_in is None:
            return None
        if not signed_in.is_fresh and not await self.keys.is_valid(signed_in.client, signed_in.key_number):
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "the license key of this session is not valid any more")
        signed_in.is_fresh = False
        return signed_in.client

    async def _authenticate_key(self, license_key: str | None) -> Client:
        if license_key is None or not license_key.strip():
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "request/licenseKey is mandatory and must not be blank")
        return await self._find_holder(license_key)

    async def _find_holder(self, license_key: str) -> Client:
        client = await self.keys.authenticate(license_key)
        if client is None:
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "the license key is invalid")
        return client

    async def _find_bearer(self, text: str) -> Client:
        token = await self.token_verifier.verify(text)
        client = await self.subjects.find_client(TokenSubject(token.issuer, token.subject))
        if client is None:
            raise token_refused()
        return client

    def _throttle(self, call: Call[Body], client: Client, *, cost: int = 1) -> Client:
        self.rate_limits.check_holder(call.http, client.user_id, cost=cost)
        return client

    async def authorize_partner(self, client: Client, partner_id: str) -> None:
        """Require that the caller may act for a partner: a grant on the partner's resource allows it.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED.
        """
        if not await self.grants.may_read(client.user_id, resource_id(partner_id), None):
            raise not_for_partner(partner_id)

    async def authorize(self, client: Client, dataset_name: str, *resources: str) -> Dataset:
        """Return the dataset, and require that the caller may read the resources in it.

        Args:
            client: the caller.
            dataset_name: the id or an alias, as in the path.
            resources: in canonical form.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, the same for an unknown resource and no grant.
        """
        dataset = self.catalogue.find(dataset_name)
        if dataset is None:
            raise no_access(self.catalogue, dataset_name, resources[0])
        queries = [AccessQuery(client.user_id, resource, resource, dataset.id) for resource in resources]
        found = await self.grants.access_rights(queries)
        for resource, rights in zip(resources, found, strict=True):
            if not rights.may_read:
                raise no_access(self.catalogue, dataset_name, resource)
        return dataset

    async def authorize_for_partner(
        self, client: Client, *, partner_id: str, dataset_name: str, resource: str
    ) -> Dataset:
        """Return the dataset, and require that the caller may act for the partner and read the resource.

        This is `authorize_partner` and then `authorize`, in one query.

        Raises:
            ExhaustError: AUTHORIZATION_FAILED, as from these two.
        """
        dataset = self.catalogue.find(dataset_name)
        query = AccessQuery(client.user_id, resource_id(partner_id), resource, dataset.id if dataset else None)
        (rights,) = await self.grants.access_rights([query])
        if not rights.acts_for_partner:
            raise not_for_partner(partner_id)
        if dataset is None or not rights.may_read:
            raise no_access(self.catalogue, dataset_name, resource)
        return dataset


def _bearer_token(headers: Mapping[str, str]) -> str:
    """Return the text after `Bearer `; an empty text, which is no good token, without such a header."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
