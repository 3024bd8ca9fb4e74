"""The file manifest.json of a download, by which a partner can check it. Its schema lies in schemas/.

It says nothing of who asked, of when or where it was made, or of how the buckets are laid out: the same days of the
same dataset give every partner of the resource the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exhaust.domain.days import DayRange
    from schemas.events import FailedDay
    from services.aggregator.archive.day_summary import DaySummary, SourceSummary


def manifest_json(
    dataset: str,
    resource: str,
    days: DayRange,
    tags: Iterable[str],
    summaries: Sequence[DaySummary],
    failed: Sequence[FailedDay] = (),
) -> bytes:
    """Return the manifest of a download.

    Args:
        dataset: the dataset's own id.
        resource: id in canonical form.
        days: the days that were requested.
        tags: the filter, in any order; empty means none.
        summaries: one for each of the days, in any order.
        failed: in place of a summary, a day that the download lacks.

    Returns:
        Indented JSON, UTF-8, with a newline at its end.

    Raises:
        ValueError: a day has no summary or two, or a summary is of another day.
    """
    told = {summary.day: _day(summary) for summary in summaries} | {each.day: _failed_day(each) for each in failed}
    if sorted(told) != list(days) or len(told) != len(summaries) + len(failed):
        raise ValueError(
            f"a manifest of {days.first} to {days.last} needs one summary for each day, "
            f"but has those of {', '.join(map(str, sorted(told))) or 'none'}"
        )
    manifest = {
        "request": {
            "datasetid": dataset,
            "resourceid": resource,
            "fromdate": days.first,
            "todate": days.last,
            "tags": sorted(set(tags)),
        },
        **({"partial": True} if failed else {}),
        "totals": _totals(summaries, missing=len(failed)),
        "days": [told[day] for day in days],
    }
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _totals(summaries: Sequence[DaySummary], *, missing: int) -> dict[str, int]:
    return {
        "days": len(summaries),
        **({"missing": missing} if missing else {}),
        "events": sum(summary.events for summary in summaries),
        "bytes": sum(summary.bytes for summary in summaries),
        "unreadable": sum(summary.unreadable for summary in summaries),
        "duplicates": sum(summary.duplicates for summary in summaries),
    }


def _day(summary: DaySummary) -> dict[str, object]:
    return {
        "day": summary.day,
        "state": "ok" if summary.events else "empty",
        "events": summary.events,
        "bytes": summary.bytes,
        "unreadable": summary.unreadable,
        "unreadablelines": [{"object": _name(place.object), "line": place.line} for place in summary.unreadable_lines],
        "duplicates": summary.duplicates,
        "versions": dict(sorted(summary.versions.items())),
        "size": summary.size,
        "sha256": summary.sha256,
        "firstreceived": summary.first_received,
        "lastreceived": summary.last_received,
        "firstevent": summary.first_event,
        "lastevent": summary.last_event,
        "sources": [_source(source) for source in summary.sources],
    }


def _failed_day(day: FailedDay) -> dict[str, object]:
    return {"day": day.day, "state": "failed", "code": day.code, "message": day.message}


def _source(source: SourceSummary) -> dict[str, object]:
    return {
        "object": _name(source.object),
        "member": source.member,
        "etag": source.etag.strip('"'),
        "size": source.size,
        "events": source.events,
        "unreadable": source.unreadable,
    }


def _name(object_key: str) -> str:
    """Return the last part of an object's key."""
    return object_key.rpartition("/")[2]
