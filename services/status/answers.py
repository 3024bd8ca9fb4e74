"""The JSON of a request in answers: the documented fields, and our own beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.failures import RequestFailure
from exhaust.domain.object_keys import outer_archive_name, partial_archive_name
from exhaust.domain.state_machine import State
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, error_document
from exhaust.lag.sentences import shown

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.request_views import RequestView
    from exhaust.s3.store import ObjectStore
    from services.status.archive_check import PartialDownload
    from services.status.outlooks import Outlook

_REMOVED: Final = "the download was removed, as all are after some days; submit the request again to get a new one"
DEFAULT_RETENTION: Final = timedelta(days=7)  # of a dataset that left the catalogue


class AnswerBuilder:
    """Builds the JSON of requests. It signs download links anew for each answer; no link is stored."""

    def __init__(self, objects: ObjectStore, catalogue: Catalogue, *, bucket: str, link_lifetime: timedelta) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._bucket = bucket
        self._link_lifetime = link_lifetime
        self._link_words = (
            f"the link is good for {shown(link_lifetime)}; each read of this status signs a new one, until expiresat"
        )

    async def build_status(
        self, view: RequestView, partial: PartialDownload | None = None, outlook: Outlook | None = None
    ) -> dict[str, object]:
        """Build the result of the status operation.

        Args:
            view: the request.
            partial: the download of those of its days that are finished, if the request has failed and there is one.
            outlook: where it stands and why, if it is in progress.
        """
        result: dict[str, object] = {
            "status": view.state.wire,
            "progress": {
                "daysdone": view.days_done,
                "daystotal": len(view.days),
                "events": view.events,
                "bytes": view.bytes,
            },
        }
        if view.state is State.CANCELLED:
            return result | {"error": error_document(ErrorCode.CANCELLED, CANCELLED_SENTENCE)}
        if view.state is State.FAILED:
            result["error"] = RequestFailure.of(view.outcome).to_json()
            return result if partial is None else result | await self._partial(view, partial)
        if view.state is not State.COMPLETE:
            return result if outlook is None else result | outlook.to_json()
        outcome = view.outcome or {}
        result |= {name: outcome[name] for name in ("size", "sha256", "events", "bytes") if name in outcome}
        result["expiresat"] = self._expires_at(view).isoformat(timespec="seconds")
        if not self.has_link(view):
            return result | {"expired": True, "because": _REMOVED}
        return result | {"downloadurl": await self.archive_link(view), "because": self._link_words}

    def has_link(self, view: RequestView) -> bool:
        """Return True when the JSON of a request holds a download link: complete, not expired, and with an archive."""
        has_archive = view.state is State.COMPLETE and isinstance((view.outcome or {}).get("key"), str)
        return has_archive and self._expires_at(view) > datetime.now(UTC)

    def may_have_partial(self, view: RequestView) -> bool:
        """Return True when a request may have a partial download: it has failed, and its objects are still kept."""
        return view.state is State.FAILED and self._expires_at(view) > datetime.now(UTC)

    async def build_entry(self, view: RequestView, outlook: Outlook | None = None) -> dict[str, object]:
        """Build one entry of the list operation."""
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
            "tracker": await self.build_status(view, outlook=outlook),
        }

    def _expires_at(self, view: RequestView) -> datetime:
        dataset = self._catalogue.find(view.dataset)
        retention = timedelta(days=dataset.retention_days) if dataset else DEFAULT_RETENTION
        return (view.ended_at or view.created_at) + retention

    async def archive_link(self, view: RequestView, *, head: bool = False) -> str:
        """Sign the link to the archive of a request that has one; for HEAD alone if that is wanted."""
        key = str((view.outcome or {})["key"])
        return await self._sign(key, outer_archive_name(view.dataset, view.days.first, view.days.last), head=head)

    async def partial_link(self, view: RequestView, partial: PartialDownload, *, head: bool = False) -> str:
        """Sign the link to the partial download of a request; for HEAD alone if that is wanted."""
        name = partial_archive_name(view.dataset, view.days.first, view.days.last)
        return await self._sign(partial.key, name, head=head)

    async def _partial(self, view: RequestView, partial: PartialDownload) -> dict[str, object]:
        missing = [day.isoformat() for day in partial.missing]
        return {"partialurl": await self.partial_link(view, partial), "missingdays": missing}

    async def _sign(self, key: str, file_name: str, *, head: bool) -> str:
        return await self._objects.presigned_url(
            self._bucket, key, lifetime=self._link_lifetime, file_name=file_name, head=head
        )
