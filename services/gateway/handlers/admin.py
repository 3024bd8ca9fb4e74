"""Operations of the internal listener: the documented v1 ones, and an operator's.

Callers show the service token; the listener checks it. `request/operator` says who acts, for the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web
from pydantic import Field

from exhaust.domain.requests import parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer, endpoint
from exhaust.http.envelope import required
from exhaust.postgres.audit import Action, AuditFilter, find_acts
from exhaust.postgres.grants import Grant
from exhaust.postgres.license_keys import OVERLAP, UnknownClientError
from schemas.bodies import Body, KeyBody, OptionalNumber, ShortText
from schemas.operations import Operation

if TYPE_CHECKING:
    from exhaust.http.endpoint import BodyT, Call, Handler, HttpMetrics
    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import LicenseKey
    from services.gateway.auth.access import Access

DEFAULT_LIMIT: Final = 100
SECRET: Final = {"Cache-Control": "no-store"}


class OperatorBody(Body):
    """The person who acts, for the audit."""

    operator: ShortText = None


class ClientBody(Body):
    """A client."""

    client_name: ShortText = Field(None, validation_alias="clientName")


class UserBody(ClientBody):
    """A user: a client, and which of its keys."""

    license_key_name: ShortText = Field(None, validation_alias="licenseKeyName")


class ResourceBody(Body):
    """A resource, in one dataset or in all."""

    resource_id: ShortText = Field(None, validation_alias="resourceId")
    dataset_id: ShortText = Field(None, validation_alias="datasetId")


class AuthorizeBody(UserBody, ResourceBody):
    """A user, and the resource that it wants to read."""


class AssociateBody(KeyBody, OperatorBody):
    """A key whose holder gets a resource."""


class RotateBody(UserBody, OperatorBody):
    """A key to be replaced."""

    overlap_hours: OptionalNumber = Field(None, validation_alias="overlapHours", ge=0, le=24 * 365)


class RevokeBody(UserBody, OperatorBody):
    """A user's keys, or one of them."""

    key_number: OptionalNumber = Field(None, validation_alias="keyNumber", ge=1, lt=2**63)


class GrantBody(UserBody, ResourceBody, OperatorBody):
    """A grant."""

    expires_at: ShortText = Field(None, validation_alias="expiresAt")


class AuditBody(Body):
    """Which acts are wanted."""

    actor: ShortText = None
    action: ShortText = None
    subject: ShortText = None
    since: ShortText = None
    until: ShortText = None
    before: OptionalNumber = Field(None, ge=1, lt=2**63)
    limit: OptionalNumber = Field(None, ge=1, le=1000)


@dataclass(frozen=True, slots=True)
class Administration:
    """The internal operations; those of v1 ask the same Access as the public ones."""

    access: Access
    database: Database

    def routes(self, metrics: HttpMetrics) -> list[web.RouteDef]:
        """What the internal listener serves."""
        return [
            _post("/v1/client/authenticate", "client_authenticate", KeyBody, self.authenticate, metrics),
            _post("/v1/client/authorize", "client_authorize", AuthorizeBody, self.authorize, metrics),
            _post("/v1/associate/{resourceId}", "resource_associate", AssociateBody, self.associate, metrics),
            _post("/v1/admin/keys/list", "admin_keys_list", ClientBody, self.list_keys, metrics),
            _post("/v1/admin/keys/rotate", "admin_keys_rotate", RotateBody, self.rotate_key, metrics),
            _post("/v1/admin/keys/revoke", "admin_keys_revoke", RevokeBody, self.revoke_keys, metrics),
            _post("/v1/admin/grants/add", "admin_grants_add", GrantBody, self.add_grant, metrics),
            _post("/v1/admin/grants/remove", "admin_grants_remove", GrantBody, self.remove_grant, metrics),
            _post("/v1/admin/grants/list", "admin_grants_list", UserBody, self.list_grants, metrics),
            _post("/v1/admin/grants/who", "admin_grants_who", ResourceBody, self.who_has_access, metrics),
            _post("/v1/admin/audit", "admin_audit", AuditBody, self.audit, metrics),
        ]

    async def authenticate(self, call: Call[KeyBody]) -> Answer:
        """Whose license key it is."""
        client = await self.access.authenticate(call.body)
        return Answer({"clientName": client.client_name, "licenseKeyName": client.license_key_name})

    async def authorize(self, call: Call[AuthorizeBody]) -> Answer:
        """Whether a user may read a resource; in a dataset, when one is named."""
        body = call.body
        names, resource = _names(body), _resource(body)
        refusal = ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "this client has no access to this resource")
        try:
            client = await self.access.keys.find(*names)
        except UnknownClientError as error:
            raise refusal from error
        if body.dataset_id:
            await self.access.authorize(client, body.dataset_id, resource)
        elif not await self.access.grants.holds(client.user_id, resource, None):
            raise refusal
        return Answer()

    async def associate(self, call: Call[AssociateBody]) -> Answer:
        """Grants a resource to the holder of a license key."""
        client = await self.access.authenticate(call.body)
        grant = Grant(client.client_name, client.license_key_name, parse_resource(call.path("resourceId")))
        await self.access.grants.add(grant, actor=_actor(call.body))
        return Answer()

    async def list_keys(self, call: Call[ClientBody]) -> Answer:
        """All keys that a client ever had."""
        now = datetime.now(UTC)
        keys = await self.access.keys.of_client(_client_name(call.body))
        return Answer({"keys": [_told_key(key, now) for key in keys]})

    async def rotate_key(self, call: Call[RotateBody]) -> Answer:
        """Makes a new key and shows it, once."""
        body = call.body
        overlap = OVERLAP if body.overlap_hours is None else timedelta(hours=body.overlap_hours)
        license_key = await self.access.keys.rotate(*_names(body), actor=_actor(body), overlap=overlap)
        return Answer({"licenseKey": license_key}, headers=SECRET)

    async def revoke_keys(self, call: Call[RevokeBody]) -> Answer:
        """Refuses a user's keys from now on, or the one of that number."""
        body = call.body
        revoked = await self.access.keys.revoke(*_names(body), actor=_actor(body), number=body.key_number)
        return Answer({"revoked": revoked})

    async def add_grant(self, call: Call[GrantBody]) -> Answer:
        """Grants a resource."""
        grant = self._grant(call.body)
        await self.access.grants.add(grant, actor=_actor(call.body))
        return Answer({"grant": _told_grant(grant)})

    async def remove_grant(self, call: Call[GrantBody]) -> Answer:
        """Withdraws the grant for a dataset, or without one every grant on the resource."""
        removed = await self.access.grants.remove(self._grant(call.body), actor=_actor(call.body))
        return Answer({"removed": removed})

    async def list_grants(self, call: Call[UserBody]) -> Answer:
        """The grants of a client, or of one of its keys."""
        key_name = _optional(call.body.license_key_name, "licenseKeyName")
        grants = await self.access.grants.of_client(_client_name(call.body), key_name)
        return Answer({"grants": [_told_grant(grant) for grant in grants]})

    async def who_has_access(self, call: Call[ResourceBody]) -> Answer:
        """The grants by which somebody may read a resource now."""
        grants = await self.access.grants.who(_resource(call.body), self._dataset(call.body))
        return Answer({"grants": [_told_grant(grant) for grant in grants]})

    async def audit(self, call: Call[AuditBody]) -> Answer:
        """Who did what, and when; newest first. `next` is the `before` of the next page."""
        wanted = _filter(call.body)
        acts = await find_acts(self.database, wanted)
        told = [
            {
                "number": act.number,
                "at": act.at.isoformat(),
                "actor": act.actor,
                "action": act.action,
                "subject": act.subject,
                "detail": act.detail,
            }
            for act in acts
        ]
        return Answer({"acts": told, "next": acts[-1].number if len(acts) == wanted.limit else None})

    def _grant(self, body: GrantBody) -> Grant:
        return Grant(*_names(body), _resource(body), self._dataset(body), _moment(body.expires_at, "expiresAt"))

    def _dataset(self, body: ResourceBody) -> str | None:
        if not body.dataset_id:
            return None
        dataset = self.access.catalogue.find(body.dataset_id)
        if dataset is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request/datasetId is not in the catalogue")
        return dataset.id


def _post(path: str, name: str, body: type[BodyT], handle: Handler[BodyT], metrics: HttpMetrics) -> web.RouteDef:
    return web.post(path, endpoint(Operation(f"ekstep.data_exhaust_{name}", "1.0"), body, handle, metrics))


def _client_name(body: ClientBody) -> str:
    return required(body.client_name, ErrorCode.INVALID_DATA_ERROR, "clientName")


def _names(body: UserBody) -> tuple[str, str]:
    key_name = required(body.license_key_name, ErrorCode.INVALID_DATA_ERROR, "licenseKeyName")
    return _client_name(body), key_name


def _resource(body: ResourceBody) -> str:
    return parse_resource(required(body.resource_id, ErrorCode.INVALID_DATA_ERROR, "resourceId"))


def _actor(body: OperatorBody) -> str:
    return f"service/{_optional(body.operator, 'operator') or 'internal'}"


def _optional(text: str | None, name: str) -> str | None:
    return required(text, ErrorCode.INVALID_DATA_ERROR, name) if text else None


def _filter(body: AuditBody) -> AuditFilter:
    if body.action and body.action not in set(Action):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/action must be one of {', '.join(Action)}")
    return AuditFilter(
        actor=_optional(body.actor, "actor"),
        action=Action(body.action) if body.action else None,
        subject=_optional(body.subject, "subject"),
        since=_moment(body.since, "since"),
        until=_moment(body.until, "until"),
        before=body.before,
        limit=body.limit or DEFAULT_LIMIT,
    )


def _moment(text: str | None, name: str) -> datetime | None:
    """A time of ISO 8601, taken for UTC when it has no offset."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"request/{name} must be an ISO 8601 time, such as 2026-11-01T00:00:00Z"
        ) from error


def _told_key(key: LicenseKey, now: datetime) -> dict[str, object]:
    return {
        "number": key.number,
        "clientName": key.client_name,
        "licenseKeyName": key.license_key_name,
        "state": key.state(now),
        "pepperVersion": key.pepper_version,
        "createdAt": key.created_at.isoformat(),
        "expiresAt": _told(key.expires_at),
        "revokedAt": _told(key.revoked_at),
    }


def _told_grant(grant: Grant) -> dict[str, object]:
    return {
        "clientName": grant.client_name,
        "licenseKeyName": grant.license_key_name,
        "resourceId": grant.resource,
        "datasetId": grant.dataset,
        "expiresAt": _told(grant.expires_at),
    }


def _told(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
