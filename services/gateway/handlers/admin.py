"""Operations of the internal listener: the documented v1 ones, and an operator's.

Callers show the service token; the listener checks it. `request/operator` says who acts, for the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.domain.requests import parse_resource
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer, endpoint
from exhaust.http.envelope import Operation, required
from exhaust.postgres.audit import Action, AuditFilter, find_acts
from exhaust.postgres.grants import Grant
from exhaust.postgres.license_keys import OVERLAP, UnknownClientError

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call, Handler, HttpMetrics
    from exhaust.http.envelope import RequestPart
    from exhaust.postgres.database import Database
    from exhaust.postgres.license_keys import LicenseKey
    from services.gateway.auth.access import Access

DEFAULT_LIMIT: Final = 100
SECRET: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Administration:
    """The internal operations; those of v1 ask the same Access as the public ones."""

    access: Access
    database: Database

    def routes(self, metrics: HttpMetrics) -> list[web.RouteDef]:
        """What the internal listener serves."""
        handlers: dict[str, tuple[str, Handler]] = {
            "/v1/client/authenticate": ("client_authenticate", self.authenticate),
            "/v1/client/authorize": ("client_authorize", self.authorize),
            "/v1/associate/{resourceId}": ("resource_associate", self.associate),
            "/v1/admin/keys/list": ("admin_keys_list", self.list_keys),
            "/v1/admin/keys/rotate": ("admin_keys_rotate", self.rotate_key),
            "/v1/admin/keys/revoke": ("admin_keys_revoke", self.revoke_keys),
            "/v1/admin/grants/add": ("admin_grants_add", self.add_grant),
            "/v1/admin/grants/remove": ("admin_grants_remove", self.remove_grant),
            "/v1/admin/grants/list": ("admin_grants_list", self.list_grants),
            "/v1/admin/grants/who": ("admin_grants_who", self.who_has_access),
            "/v1/admin/audit": ("admin_audit", self.audit),
        }
        return [
            web.post(path, endpoint(Operation(f"ekstep.data_exhaust_{name}", "1.0"), handler, metrics))
            for path, (name, handler) in handlers.items()
        ]

    async def authenticate(self, call: Call) -> Answer:
        """Whose license key it is."""
        client = await self.access.authenticate(call.part)
        return Answer({"clientName": client.client_name, "licenseKeyName": client.license_key_name})

    async def authorize(self, call: Call) -> Answer:
        """Whether a user may read a resource; in a dataset, when one is named."""
        part = call.part
        names, resource = _names(part), _resource(part)
        refusal = ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "this client has no access to this resource")
        try:
            client = await self.access.keys.find(*names)
        except UnknownClientError as error:
            raise refusal from error
        if part.dataset_id:
            await self.access.authorize(client, part.dataset_id, resource)
        elif not await self.access.grants.holds(client.user_id, resource, None):
            raise refusal
        return Answer()

    async def associate(self, call: Call) -> Answer:
        """Grants a resource to the holder of a license key."""
        client = await self.access.authenticate(call.part)
        grant = Grant(client.client_name, client.license_key_name, parse_resource(call.path("resourceId")))
        await self.access.grants.add(grant, actor=_actor(call.part))
        return Answer()

    async def list_keys(self, call: Call) -> Answer:
        """All keys that a client ever had."""
        now = datetime.now(UTC)
        keys = await self.access.keys.of_client(_client_name(call.part))
        return Answer({"keys": [_told_key(key, now) for key in keys]})

    async def rotate_key(self, call: Call) -> Answer:
        """Makes a new key and shows it, once."""
        part = call.part
        overlap = OVERLAP if part.overlap_hours is None else timedelta(hours=part.overlap_hours)
        license_key = await self.access.keys.rotate(*_names(part), actor=_actor(part), overlap=overlap)
        return Answer({"licenseKey": license_key}, headers=SECRET)

    async def revoke_keys(self, call: Call) -> Answer:
        """Refuses a user's keys from now on, or the one of that number."""
        part = call.part
        revoked = await self.access.keys.revoke(*_names(part), actor=_actor(part), number=part.key_number)
        return Answer({"revoked": revoked})

    async def add_grant(self, call: Call) -> Answer:
        """Grants a resource."""
        grant = self._grant(call.part)
        await self.access.grants.add(grant, actor=_actor(call.part))
        return Answer({"grant": _told_grant(grant)})

    async def remove_grant(self, call: Call) -> Answer:
        """Withdraws the grant for a dataset, or without one every grant on the resource."""
        removed = await self.access.grants.remove(self._grant(call.part), actor=_actor(call.part))
        return Answer({"removed": removed})

    async def list_grants(self, call: Call) -> Answer:
        """The grants of a client, or of one of its keys."""
        key_name = _optional(call.part.license_key_name, "licenseKeyName")
        grants = await self.access.grants.of_client(_client_name(call.part), key_name)
        return Answer({"grants": [_told_grant(grant) for grant in grants]})

    async def who_has_access(self, call: Call) -> Answer:
        """The grants by which somebody may read a resource now."""
        grants = await self.access.grants.who(_resource(call.part), self._dataset(call.part))
        return Answer({"grants": [_told_grant(grant) for grant in grants]})

    async def audit(self, call: Call) -> Answer:
        """Who did what, and when; newest first. `next` is the `before` of the next page."""
        wanted = _filter(call.part)
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

    def _grant(self, part: RequestPart) -> Grant:
        return Grant(*_names(part), _resource(part), self._dataset(part), _moment(part.expires_at, "expiresAt"))

    def _dataset(self, part: RequestPart) -> str | None:
        if not part.dataset_id:
            return None
        dataset = self.access.catalogue.find(part.dataset_id)
        if dataset is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request/datasetId is not in the catalogue")
        return dataset.id


def _client_name(part: RequestPart) -> str:
    return required(part.client_name, ErrorCode.INVALID_DATA_ERROR, "clientName")


def _names(part: RequestPart) -> tuple[str, str]:
    key_name = required(part.license_key_name, ErrorCode.INVALID_DATA_ERROR, "licenseKeyName")
    return _client_name(part), key_name


def _resource(part: RequestPart) -> str:
    return parse_resource(required(part.resource_id, ErrorCode.INVALID_DATA_ERROR, "resourceId"))


def _actor(part: RequestPart) -> str:
    return f"service/{_optional(part.operator, 'operator') or 'internal'}"


def _optional(text: str | None, name: str) -> str | None:
    return required(text, ErrorCode.INVALID_DATA_ERROR, name) if text else None


def _filter(part: RequestPart) -> AuditFilter:
    if part.action and part.action not in set(Action):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/action must be one of {', '.join(Action)}")
    return AuditFilter(
        actor=_optional(part.actor, "actor"),
        action=Action(part.action) if part.action else None,
        subject=_optional(part.subject, "subject"),
        since=_moment(part.since, "since"),
        until=_moment(part.until, "until"),
        before=part.before,
        limit=part.limit or DEFAULT_LIMIT,
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
