"""The plan of one day: everything that follows from its message and from the listing of its objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import Layout
from exhaust.domain.object_keys import day_archive_key, day_summary_key
from services.aggregator.archive.deflate import deflater_id
from services.aggregator.archive.fingerprint import ArchiveBasis, day_fingerprint, listing_fingerprint
from services.aggregator.build.resource_folders import belongs_to
from services.aggregator.scan.selector import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from exhaust.domain.catalogue import Dataset
    from exhaust.s3.object_info import ObjectInfo
    from schemas.events import DayRequested


@dataclass(frozen=True, slots=True)
class ScanKey:
    """The identity of a scan: days with equal keys can share one.

    Attributes:
        listing: fingerprint of the source objects, so that no day is built from an older listing.
        alone: key of the archive when it takes whole objects, which no other archive can share; else None.
    """

    dataset: str
    day: date
    listing: str
    alone: str | None


@dataclass(frozen=True, slots=True)
class DayPlan:
    """One day archive to be found or built.

    Attributes:
        resource: the resource of the request.
        day: the day that the platform received the events.
        sources: the day's raw objects, in key order.
        selection: which of their events belong into the archive.
        mixed: keys of the sources that hold events of others, too, though the layout is one folder a resource.
        mixed_selection: which of the events of those belong into the archive.
        archive_key: where the archive lies; content-addressed, so that equal inputs have equal keys.
        summary_key: where its summary lies, which exists once the archive is durable.
        scan_key: plans with equal scan keys can be built by one scan.
    """

    resource: str
    day: date
    sources: Sequence[ObjectInfo]
    selection: Selection
    mixed: frozenset[str]
    mixed_selection: Selection
    archive_key: str
    summary_key: str
    scan_key: ScanKey

    def selection_from(self, source: ObjectInfo) -> Selection:
        """Return the selection of the events of a source."""
        return self.mixed_selection if source.key in self.mixed else self.selection


def plan_day(
    dataset: Dataset, request: DayRequested, sources: Sequence[ObjectInfo], *, default_channel: str
) -> DayPlan:
    """Derive the plan of a day.

    Args:
        dataset: the dataset that the message names.
        request: the message.
        sources: the day's raw objects, in key order.
        default_channel: the channel of events that name none.
    """
    by_line = Selection(
        resource=request.resourceid,
        owner=request.owner,
        tags=request.tags,
        event_kinds=dataset.event_kinds,
        default_channel=default_channel,
    )
    shared = dataset.layout is Layout.SHARED
    selection = by_line if shared else replace(by_line, resource=None, owner=None)
    mixed = () if shared else (source.key for source in sources if not _is_own(source, dataset, request.resourceid))
    basis = ArchiveBasis(
        dataset=dataset.id,
        layout=dataset.layout,
        event_kinds=dataset.event_kinds,
        resource=request.resourceid,
        tags=request.tags,
        default_channel=default_channel,
        deflater=deflater_id(),
    )
    place = (dataset.id, request.resourceid, request.day, day_fingerprint(basis, sources))
    archive_key = day_archive_key(*place)
    return DayPlan(
        resource=request.resourceid,
        day=request.day,
        sources=sources,
        selection=selection,
        mixed=frozenset(mixed),
        mixed_selection=by_line,
        archive_key=archive_key,
        summary_key=day_summary_key(*place),
        scan_key=ScanKey(
            dataset=dataset.id,
            day=request.day,
            listing=listing_fingerprint(sources),
            alone=archive_key if selection.takes_all else None,
        ),
    )


def _is_own(source: ObjectInfo, dataset: Dataset, resource: str) -> bool:
    """Return True when all of a source belongs to the resource, as its folder does."""
    return belongs_to(source.key.removeprefix(dataset.prefix).partition("/")[0], resource)
