"""Trying again while a server is away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import stamina

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_WAIT: Final = timedelta(milliseconds=100)
LONGEST_WAIT: Final = timedelta(seconds=5)


async def retry_while_unavailable(work: Callable[[], Awaitable[None]], *, give_up_after: timedelta | None) -> None:
    """Do a piece of work, and do it again while what it raises may pass by itself.

    Args:
        work: is called at least once, and must be safe to repeat.
        give_up_after: a failure that comes later than this is the last; None tries for ever.

    Raises:
        ExhaustError: it cannot pass by itself, or did not in time.
    """
    async for attempt in stamina.retry_context(
        on=_is_retryable, attempts=None, timeout=give_up_after, wait_initial=FIRST_WAIT, wait_max=LONGEST_WAIT
    ):
        with attempt:
            await work()


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, ExhaustError) and error.retryable
