"""Requests in the portal: what their status says, in the words and with the buttons of a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from services.gateway.portal.operations import ApiOperations

LIST: Final = "/v2/datasets/requests"
LISTED: Final = 20
_URGENCIES: Final = {"complete": "healthy", "failed": "page", "cancelled": "", "expired": ""}


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the status of a request says.

    Attributes:
        word: its state in one word.
        urgency: the colour of that word.
        sentence: where it stands, or why it failed.
        done: days that are finished.
        expires: when its download goes; None without one.
        open: it has not ended.
    """

    word: str
    urgency: str
    sentence: str
    done: int
    days: int
    events: int | None
    size: int | None
    expires: str | None
    help: str | None
    open: bool
    may_download: bool
    may_download_part: bool
    may_retry: bool


@dataclass(frozen=True, slots=True)
class RequestShown:
    """A request of the list."""

    id: str
    partner: str
    dataset: str
    first: str
    last: str
    tags: Sequence[str]
    asked_at: datetime
    tracked: Tracked


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of requests; `unseen` says why there are none to be seen."""

    requests: Sequence[RequestShown]
    next: str = ""
    unseen: str = ""

    @property
    def open(self) -> int:
        """How many of them have not ended."""
        return sum(shown.tracked.open for shown in self.requests)


async def listed_requests(operations: ApiOperations, page: web.Request, *, after: str) -> Listed:
    """Return a page of the requests that the holder of the session may see, newest first.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for a wrong `after`, RATE_LIMITED.
    """
    try:
        result = await operations.get(page, LIST, limit=LISTED, next=after)
    except ExhaustError as error:
        if error.code is not ErrorCode.SERVICE_UNAVAILABLE:
            raise
        return Listed((), unseen=error.message)
    return Listed([_shown(entry) for entry in result["requests"]], str(result.get("next") or ""))


def _shown(entry: Mapping[str, Any]) -> RequestShown:
    return RequestShown(
        id=entry["requestid"],
        partner=entry["partnerid"],
        dataset=entry["datasetid"],
        first=entry["fromdate"],
        last=entry["todate"],
        tags=entry["tags"],
        asked_at=datetime.fromtimestamp(entry["createdat"] / 1000, UTC),
        tracked=tracked_of(entry["tracker"]),
    )


def tracked_of(status: Mapping[str, Any]) -> Tracked:
    """Return what the status of a request says."""
    progress, error = status.get("progress", {}), status.get("error") or {}
    is_open = status["status"] == "inprogress"
    word = _word(status)
    return Tracked(
        word=word,
        urgency=_URGENCIES.get(word, "attention"),
        sentence=_sentence(status),
        done=progress.get("daysdone", 0),
        days=progress.get("daystotal", 0),
        events=status.get("events", progress.get("events")),
        size=status.get("size"),
        expires=status.get("expiresat"),
        help=error.get("help"),
        open=is_open,
        may_download="downloadurl" in status,
        may_download_part="partialurl" in status,
        may_retry=word == "failed",
    )


def _word(status: Mapping[str, Any]) -> str:
    error = status.get("error") or {}
    if status["status"] == "inprogress":
        return str(status.get("phase", "in progress"))
    if error.get("code") == ErrorCode.CANCELLED:
        return "cancelled"
    return "expired" if status.get("expired") else str(status["status"])


def _sentence(status: Mapping[str, Any]) -> str:
    error, eta = status.get("error") or {}, status.get("eta") or {}
    because = status.get("because", "") if status["status"] == "inprogress" else ""  # else it is about links
    parts = [error.get("message", "") or because]
    if "position" in status:
        parts.append(f"number {status['position']} in the queue")
    if eta:
        parts.append(f"ready between {_time(eta['earliest'])} and {_time(eta['latest'])} UTC")
    text = "; ".join(part.rstrip(".") for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _time(written: str) -> str:
    at = datetime.fromisoformat(written).astimezone(UTC)
    return f"{at:%H:%M:%S}" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d %H:%M}"
