"""The page of the last 48 hours, which the charts of the page Flow draw, and a table shows to those without scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.lag.stages import Stage
from exhaust.postgres.stage_samples import KEPT_FOR, sample_history
from services.console.pages import Page
from services.console.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from exhaust.postgres.database import Database
    from exhaust.postgres.stage_samples import BinnedSample
    from services.console.pages import Document

SPANS: Final = {"10": timedelta(minutes=10), "60": timedelta(hours=1)}
_SPAN: Final = "minutes"
_DEFAULT: Final = "60"


def history_page(database: Database) -> Page:
    """Build the page."""

    async def history(request: web.Request) -> Document:
        chosen = request.query.get(_SPAN, _DEFAULT)
        if chosen not in SPANS:
            why = f"it must be one of {', '.join(SPANS)}"
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"{_SPAN}: {why}", violations=[(f"?{_SPAN}", why)])
        every = SPANS[chosen]
        reading = Reading()
        binned = await reading.see(sample_history(database, KEPT_FOR, every), "the history")
        return history_document(binned, every, datetime.now(UTC)) | {"unseen": reading.unseen}

    return Page("/flow/history", "", "history.html", history, frozenset({_SPAN}))


def history_document(binned: Iterable[BinnedSample] | None, every: timedelta, now: datetime) -> Document:
    """Return samples in bins as JSON's types: what each stage looked like in each span, the oldest first.

    A span in which nobody looked is not there. What was done in the first one is unknown. Without samples, because they
    could not be read, there are no spans either: null, not an empty list.
    """
    return {
        "at": now.isoformat(timespec="milliseconds"),
        "everyseconds": int(every.total_seconds()),
        "spans": None if binned is None else _spans(binned),
    }


def _spans(binned: Iterable[BinnedSample]) -> list[Document]:
    spans: dict[datetime, dict[str, Any]] = {}
    before: dict[str, int] = {}
    for sample in binned:
        known = before.get(sample.stage)
        before[sample.stage] = sample.done
        spans.setdefault(sample.begins, {})[sample.stage] = {
            "messages": sample.messages,
            "workdays": sample.work_days,
            "oldestseconds": None if sample.age is None else max(round(sample.age.total_seconds(), 3), 0.0),
            "done": None if known is None else max(sample.done - known, 0),
        }
    return [{"at": at.isoformat(), "stages": _in_order(stages)} for at, stages in spans.items()]


def _in_order(stages: dict[str, Any]) -> dict[str, Any]:
    return {stage.value: stages.get(stage.value) for stage in Stage}
