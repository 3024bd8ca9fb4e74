"""What a request looks like on the wire: the documented fields, and ours beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.object_keys import outer_archive_name
from exhaust.domain.requests import State

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.request_views import RequestView
    from exhaust.s3.store import Objects

DEFAULT_RETENTION_DAYS: Final = 7  # of a dataset that left the catalogue


class AnswerBuilder:
    """Describes requests; links are signed while they are described, and never kept."""

    def __init__(self, objects: Objects, catalogue: Catalogue, *, bucket: str, link_lifetime: timedelta) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._bucket = bucket
        self._link_lifetime = link_lifetime

    async def build_status(self, view: RequestView) -> dict[str, object]:
        """The result of the status operation."""
        result: dict[str, object] = {
            "status": view.state.wire,
            "progress": {
                "daysdone": view.days_done,
                "daystotal": len(view.days),
                "events": view.events,
                "bytes": view.bytes,
            },
        }
        if view.state is State.FAILED:
            return result | {"error": view.outcome}
        if view.state is not State.COMPLETE:
            return result
        outcome = view.outcome or {}
        result |= {name: outcome[name] for name in ("size", "sha256", "events", "bytes") if name in outcome}
        result["expiresat"] = self._expires_at(view).isoformat(timespec="seconds")
        if not self.has_link(view):
            return result | {"expired": True}
        return result | {"downloadurl": await self._link(view, str(outcome["key"]))}

    def has_link(self, view: RequestView) -> bool:
        """Whether a request's description holds a link to its download."""
        return view.state is State.COMPLETE and self._expires_at(view) > datetime.now(UTC)

    async def build_entry(self, view: RequestView) -> dict[str, object]:
        """One entry of the list operation."""
        return {
            "partnerid": view.partner_id,
            "username": view.username,
            "requestid": str(view.request_id),
            "datasetid": view.dataset,
            "resourceid": view.resource,
            "fromdate": view.days.first.isoformat(),
            "todate": view.days.last.isoformat(),
            "tags": list(view.tags),
            "createdat": int(view.created_at.timestamp() * 1000),
            "tracker": await self.build_status(view),
        }

    def _expires_at(self, view: RequestView) -> datetime:
        dataset = self._catalogue.find(view.dataset)
        days = dataset.retention_days if dataset else DEFAULT_RETENTION_DAYS
        return (view.ended_at or view.created_at) + timedelta(days=days)

    async def _link(self, view: RequestView, key: str) -> str:
        return await self._objects.signed_url(
            self._bucket,
            key,
            lifetime=self._link_lifetime,
            file_name=outer_archive_name(view.dataset, view.days.first, view.days.last),
        )
