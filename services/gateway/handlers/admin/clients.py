"""POST /v1/client/authenticate, /v1/client/authorize and /v1/associate, which v1 documents for our own services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.requests import parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.grants import Grant
from exhaust.postgres.license_keys import UnknownClientError
from schemas.bodies import KeyBody
from services.gateway.handlers.admin.fields import (
    OperatorBody,
    OwnerBody,
    ResourceBody,
    UnprovenBody,
    UserBody,
    actor,
    owner,
    resource,
    user_names,
)

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from services.gateway.auth.access import Access


class AuthorizeBody(UserBody, ResourceBody):
    """The body of an authorization: a user, and the resource that it wants to read."""


class AssociateBody(KeyBody, OwnerBody, OperatorBody, UnprovenBody):
    """The body of an association: the key whose holder gets a resource; it may name the resource's owner."""


class ClientHandler:
    """Authenticates and authorizes clients by the same Access as the public operations."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def authenticate(self, call: Call[KeyBody]) -> Answer:
        """Answer the client and the name of a license key."""
        client = await self._access.authenticate(call.body)
        return Answer({"clientName": client.client_name, "licenseKeyName": client.license_key_name})

    async def authorize(self, call: Call[AuthorizeBody]) -> Answer:
        """Refuse unless a user may read a resource, in the named dataset if there is one."""
        names, wanted = user_names(call.body), resource(call.body)
        refusal = ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "this client has no access to this resource")
        try:
            client = await self._access.keys.find_client(*names)
        except UnknownClientError as error:
            raise refusal from error
        if call.body.dataset_id:
            await self._access.authorize(client, call.body.dataset_id, wanted)
        elif not await self._access.grants.may_read(client.user_id, wanted, None):
            raise refusal
        return Answer()

    async def associate(self, call: Call[AssociateBody]) -> Answer:
        """Grant a resource to the holder of a license key."""
        client = await self._access.authenticate(call.body)
        plain_id, kind = owner(call.body)
        wanted = parse_resource(call.path("resourceId"))
        grant = Grant(client.client_name, client.license_key_name, wanted, owner=plain_id, owner_kind=kind)
        await self._access.grants.add(grant, actor=actor(call.body), unproven=bool(call.body.unproven))
        return Answer()
