"""GET /v2/me: what a license key stands for: its client, grants, limits, and the data that there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from exhaust.domain.days import MAX_DAYS, newest_closed_day
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from exhaust.postgres.grants import MOST_HELD
from schemas.operations import Operation

if TYPE_CHECKING:
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from exhaust.domain.catalogue import Catalogue
    from exhaust.http.endpoint import Call
    from exhaust.postgres.grants import HeldGrant
    from exhaust.postgres.license_keys import LicenseKey
    from schemas.bodies import EmptyBody
    from services.gateway.auth.access import Access
    from services.gateway.settings import LimitSettings, ShareSettings

ME: Final = Operation("ekstep.data_exhaust_me_service", "2.0", "me", "v2")
ME_PATH: Final = "/v2/me"
NO_OWNER_KNOWN: Final = "resource"


@dataclass(frozen=True, slots=True)
class MeHandler:
    """Tells callers of themselves."""

    access: Access
    limits: LimitSettings
    shares: ShareSettings
    day_zone: ZoneInfo
    day_closes_after: timedelta

    async def me(self, call: Call[EmptyBody]) -> Answer:
        """Answer GET /v2/me; the license key is in X-API-Key."""
        client = await self.access.authenticate_api_key_and_throttle(call)
        key = await self._key(call)
        grants = await self.access.grants.find_held(client.user_id)
        newest = newest_closed_day(datetime.now(UTC), self.day_zone, self.day_closes_after)
        result: dict[str, object] = {
            "client": client.client_name,
            "key": _described(key) if key else None,
            "grants": [_grant(grant) for grant in grants],
            "limits": _limits(self.limits) | _shares(self.shares),
            "datasets": _datasets(self.access.catalogue),
            "newestday": newest.isoformat(),
        }
        return Answer(result | ({"moregrants": True} if len(grants) == MOST_HELD else {}))

    async def _key(self, call: Call[EmptyBody]) -> LicenseKey | None:
        """Return the description of the caller's key; None for the holder of a session, who sends no key."""
        license_key = call.http.headers.get("X-API-Key")
        if license_key is None:
            return None
        key = await self.access.keys.describe(license_key)
        if key is None:  # revoked since it was authenticated
            raise ExhaustError(ErrorCode.LOGIN_FAILED, "the license key is invalid")
        return key


def _described(key: LicenseKey) -> dict[str, object]:
    return {
        "id": key.number,
        "name": key.license_key_name,
        "createdat": _written(key.created_at),
        "expiresat": _written(key.expires_at),
        "proven": key.proven,
    }


def _grant(grant: HeldGrant) -> dict[str, object]:
    return {
        "kind": grant.owner_kind or NO_OWNER_KNOWN,
        "id": grant.owner,
        "resourceid": grant.resource,
        "dataset": grant.dataset,
        "expiresat": _written(grant.expires_at),
    }


def _limits(settings: LimitSettings) -> dict[str, object]:
    return {
        "callsaminute": settings.holder_calls_per_minute,
        "daysarequest": MAX_DAYS,
        "openrequests": settings.max_open_requests_per_partner,
        "daysbuiltaday": settings.max_days_built_per_key,
        "bytesbuiltaday": int(settings.max_bytes_built_per_key),
    }


def _shares(settings: ShareSettings) -> dict[str, object]:
    return {
        "waits": settings.max_waits_per_key,
        "lists": settings.max_lists_per_key,
        "downloads": settings.max_downloads_per_key,
    }


def _datasets(catalogue: Catalogue) -> list[dict[str, object]]:
    every = {dataset.id: dataset for dataset in catalogue.by_name.values()}
    return [
        {"id": dataset.id, "aliases": list(dataset.aliases), "retentiondays": dataset.retention_days}
        for dataset in every.values()
    ]


def _written(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
