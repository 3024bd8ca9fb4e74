"""The times at which a message is tried again: soon at first, and over two days."""

from __future__ import annotations

from datetime import timedelta
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
_SPREAD: Final = 0.2  # receivers that came back are not called by everybody in the same second


def delay_after(failures: int, random: Callable[[], float]) -> timedelta | None:
    """Return the time until the next attempt, or None when there is none.

    Args:
        failures: so many attempts have failed, this one included.
        random: gives numbers from 0 to 1.
    """
    if failures > len(DELAYS):
        return None
    return DELAYS[failures - 1] * (1 + _SPREAD * (random() - 0.5))
