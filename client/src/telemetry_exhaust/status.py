"""How a request stands, as the API tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from telemetry_exhaust.calls import help_address, retryable, text_of
from telemetry_exhaust.dates import until
from telemetry_exhaust.safe_text import safe_text


@dataclass(frozen=True)
class Status:
    """A request as it is now; fields that the API leaves out are None or empty.

    Attributes:
        phase: waiting, building or joining, while it is in progress.
        position: in the queue, while it waits; 1 is next.
        because: why it waits.
        earliest, latest: when it may end, as ISO times.
        expires_at: when the download goes.
    """

    request: str
    state: str
    url: str | None = None
    partial_url: str | None = None
    size: int | None = None
    sha256: str | None = None
    events: int | None = None
    days_done: int = 0
    days_total: int = 0
    error_code: str = ""
    error_message: str = ""
    error_help: str = ""
    error_retryable: bool | None = None
    missing_days: tuple[str, ...] = ()
    expired: bool = False
    phase: str = ""
    position: int | None = None
    because: str = ""
    earliest: str = ""
    latest: str = ""
    expires_at: str = ""

    @property
    def ended(self) -> bool:
        """True when the request is complete or has failed."""
        return self.state != "inprogress"

    def outlook(self) -> str:
        """Return in a few words why it waits, and when it may end; "" when nobody knows."""
        # Only of one that waits: beside the days of one that is built, `because` would say them again.
        waits = self.because or f"number {self.position} in the queue" if self.position else ""
        return "; ".join(word for word in (until(self.earliest, self.latest), waits) if word)


def read_status(request: str, result: dict[str, Any], gateway: str = "") -> Status:
    """Read the result of a status; `gateway` is put before the addresses of help.

    Raises:
        ExhaustError: it is none.
    """
    progress, error, eta = (_part(result, name) for name in ("progress", "error", "eta"))
    position = result.get("position")
    return Status(
        request=request,
        state=text_of(result, "status"),
        url=result.get("downloadurl"),
        partial_url=result.get("partialurl"),
        size=result.get("size"),
        sha256=result.get("sha256"),
        events=result.get("events"),
        days_done=_number(progress, "daysdone"),
        days_total=_number(progress, "daystotal"),
        error_code=safe_text(error.get("code", "")),
        error_message=safe_text(error.get("message", "")),
        error_help=help_address(gateway, error.get("help")),
        error_retryable=retryable(error),
        missing_days=tuple(safe_text(day) for day in result.get("missingdays") or ()),
        expired=bool(result.get("expired", False)),
        phase=safe_text(result.get("phase") or ""),
        position=position if isinstance(position, int) else None,
        because=safe_text(result.get("because") or ""),
        earliest=safe_text(eta.get("earliest") or ""),
        latest=safe_text(eta.get("latest") or ""),
        expires_at=safe_text(result.get("expiresat") or ""),
    )


def _part(result: dict[str, Any], name: str) -> dict[str, Any]:
    found = result.get(name)
    return found if isinstance(found, dict) else {}


def _number(progress: dict[str, Any], name: str) -> int:
    found = progress.get(name)
    return found if isinstance(found, int) else 0
