"""manifest.json: what a download holds, for the partner who checks it. Its schema lies in schemas/.

It says nothing of who asked, of when or where it was made, or of how the buckets are laid out: the same days of the
same dataset give every partner of the resource the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exhaust.domain.days import DayRange
    from services.aggregator.archive.day_record import DayRecord, SourceRecord


def manifest_json(
    dataset: str, resource: str, days: DayRange, tags: Iterable[str], records: Sequence[DayRecord]
) -> bytes:
    """The manifest of a download.

    Args:
        dataset: the dataset's own id.
        resource: id in canonical form.
        days: the days that were requested.
        tags: the filter, in any order; empty means none.
        records: one for each of the days, in any order.

    Returns:
        Indented JSON, UTF-8, with a newline at its end.

    Raises:
        ValueError: a day has no record or two, or a record is of another day.
    """
    ordered = sorted(records, key=lambda record: record.day)
    if [record.day for record in ordered] != list(days):
        raise ValueError(
            f"a manifest of {days.first} to {days.last} needs one record for each day, "
            f"but has those of {', '.join(str(record.day) for record in ordered) or 'none'}"
        )
    manifest = {
        "request": {
            "datasetid": dataset,
            "resourceid": resource,
            "fromdate": days.first,
            "todate": days.last,
            "tags": sorted(set(tags)),
        },
        "totals": {
            "days": len(ordered),
            "events": sum(record.events for record in ordered),
            "bytes": sum(record.bytes for record in ordered),
            "unreadable": sum(record.unreadable for record in ordered),
            "duplicates": sum(record.duplicates for record in ordered),
        },
        "days": [_day(record) for record in ordered],
    }
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _day(record: DayRecord) -> dict[str, object]:
    return {
        "day": record.day,
        "state": "ok" if record.events else "empty",
        "events": record.events,
        "bytes": record.bytes,
        "unreadable": record.unreadable,
        "unreadablelines": [{"object": _name(place.object), "line": place.line} for place in record.unreadable_lines],
        "duplicates": record.duplicates,
        "versions": dict(sorted(record.versions.items())),
        "size": record.size,
        "sha256": record.sha256,
        "firstreceived": record.first_received,
        "lastreceived": record.last_received,
        "firstevent": record.first_event,
        "lastevent": record.last_event,
        "sources": [_source(source) for source in record.sources],
    }


def _source(source: SourceRecord) -> dict[str, object]:
    return {
        "object": _name(source.object),
        "etag": source.etag.strip('"'),
        "size": source.size,
        "events": source.events,
        "unreadable": source.unreadable,
    }


def _name(object_key: str) -> str:
    """An object without its place in the bucket."""
    return object_key.rpartition("/")[2]
