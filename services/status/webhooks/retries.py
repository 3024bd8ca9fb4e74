"""The times at which a message is tried again: soon at first, over two days, and later where its receiver says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
)
LONGEST: Final = max(DELAYS)
_SPREAD: Final = 0.2  # receivers that came back are not called by everybody in the same second
_SECONDS_DIGITS: Final = 9  # more are no number of seconds that anybody means


def delay_after(failures: int, random: Callable[[], float], *, asked: timedelta = timedelta(0)) -> timedelta | None:
    """Return the time until the next attempt, or None when there is none.

    Args:
        failures: so many attempts have failed, this one included.
        random: gives numbers from 0 to 1.
        asked: the receiver wants to be left alone for so long. It has its way, for LONGEST at most, and makes no
            attempt come sooner.
    """
    if failures > len(DELAYS):
        return None
    drawn = random()
    scheduled = DELAYS[failures - 1] * (1 + _SPREAD * (drawn - 0.5))
    return max(scheduled, min(asked * (1 + _SPREAD * drawn), LONGEST))  # never before the receiver's time


def parse_retry_after(text: str | None, now: datetime) -> timedelta:
    """Return how long a receiver wants to be left alone, by its header Retry-After; zero when it does not say."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:_SECONDS_DIGITS]))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return timedelta(0)
    return max(until.replace(tzinfo=until.tzinfo or UTC) - now, timedelta(0))
