"""Retries of work that fails while a server is away."""

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
    """Do a piece of work, and repeat it while it raises an ExhaustError that is retryable.

    Args:
        work: is called at least once, and must be safe to repeat.
        give_up_after: the first failure after this time is raised; None repeats for ever.

    Raises:
        ExhaustError: not retryable, or not over in time.
    """
    async for attempt in stamina.retry_context(
        on=_is_retryable, attempts=None, timeout=give_up_after, wait_initial=FIRST_WAIT, wait_max=LONGEST_WAIT
    ):
        with attempt:
            await work()


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, ExhaustError) and error.retryable
