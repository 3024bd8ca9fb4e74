"""POST /v1/admin/grants/…: an operator grants resources, withdraws grants and looks them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.grants import Grant
from schemas.bodies import ShortText
from services.gateway.handlers.admin.fields import (
    OperatorBody,
    OwnerBody,
    ResourceBody,
    UnprovenBody,
    UserBody,
    actor,
    client_name,
    optional_text,
    optional_time,
    owner,
    resource,
    user_names,
    written,
)

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue
    from exhaust.http.endpoint import Call
    from exhaust.postgres.grants import GrantStore, ListedGrant


class GrantBody(UserBody, ResourceBody, OwnerBody, OperatorBody):
    """The body of a grant to be added or removed."""

    expires_at: ShortText = Field(None, validation_alias="expiresAt")


class NewGrantBody(GrantBody, UnprovenBody):
    """The body of a grant to be added."""


class GrantHandler:
    """Lists and changes grants."""

    def __init__(self, grants: GrantStore, catalogue: Catalogue) -> None:
        self._grants = grants
        self._catalogue = catalogue

    async def add(self, call: Call[NewGrantBody]) -> Answer:
        """Grant a resource."""
        grant = self._grant(call.body)
        await self._grants.add(grant, actor=actor(call.body), unproven=bool(call.body.unproven))
        return Answer({"grant": _described(grant)})

    async def remove(self, call: Call[GrantBody]) -> Answer:
        """Withdraw the grant for a dataset, or without one every grant on the resource."""
        removed = await self._grants.remove(self._grant(call.body), actor=actor(call.body))
        return Answer({"removed": removed})

    async def list_grants(self, call: Call[UserBody]) -> Answer:
        """Answer the grants of a client, or of one of its keys."""
        key_name = optional_text(call.body.license_key_name, "licenseKeyName")
        grants = await self._grants.find_by_client(client_name(call.body), key_name)
        return Answer({"grants": [_listed(listed) for listed in grants]})

    async def who(self, call: Call[ResourceBody]) -> Answer:
        """Answer the grants by which somebody may read a resource now."""
        grants = await self._grants.find_by_resource(resource(call.body), self._dataset(call.body))
        return Answer({"grants": [_listed(listed) for listed in grants]})

    def _grant(self, body: GrantBody) -> Grant:
        expires_at = optional_time(body.expires_at, "expiresAt")
        return Grant(*user_names(body), resource(body), self._dataset(body), expires_at, *owner(body))

    def _dataset(self, body: ResourceBody) -> str | None:
        if not body.dataset_id:
            return None
        dataset = self._catalogue.find(body.dataset_id)
        if dataset is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request/datasetId is not in the catalogue")
        return dataset.id


def _described(grant: Grant) -> dict[str, object]:
    return {
        "clientName": grant.client_name,
        "licenseKeyName": grant.license_key_name,
        "resourceId": grant.resource,
        "ownerId": grant.owner,
        "ownerKind": grant.owner_kind,
        "datasetId": grant.dataset,
        "expiresAt": written(grant.expires_at),
    }


def _listed(listed: ListedGrant) -> dict[str, object]:
    return {
        **_described(listed.grant),
        "proven": listed.proven,
        "registeredAt": written(listed.registered_at),
    }
