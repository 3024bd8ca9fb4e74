"""Orders: who wants an action carried out, and why; and what became of each item of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

MAX_REASON_LENGTH: Final = 500
BATCH: Final = 8  # items at once; each is a transaction of its own, and a pool of connections has as many
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants an action carried out, and why; the audit has both.

    Attributes:
        actor: as the audit names it.
        reason: in the operator's words; never empty.
        dry_run: change nothing, and say what would be done.

    Raises:
        ExhaustError: INVALID_DATA_ERROR: there is no reason, or it is too long.
    """

    actor: str
    reason: str
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.reason) <= MAX_REASON_LENGTH or not self.reason.strip():
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                f"give a reason of 1 to {MAX_REASON_LENGTH} characters; the audit keeps it",
            )
        if not is_storable_text(self.reason):
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "the reason holds characters that cannot be stored")


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item of an action.

    Attributes:
        item: as the audit names it, such as request/<id>.
        done: True when it was done, or in a dry run would be.
        what: that was done; or why not, in a clause.
    """

    item: str
    done: bool
    what: str

    def to_json(self) -> dict[str, object]:
        """Return what page and command show."""
        return {"item": self.item, "done": self.done, "what": self.what}


async def each_item(
    items: Iterable[_Item], act: Callable[[_Item], Awaitable[ItemResult]], *, batch: int = BATCH
) -> AsyncIterator[ItemResult]:
    """Act on items, some at once, and give the results in their order. Repeated items are acted on once.

    Args:
        items: to act on.
        act: on one item, in a transaction of its own.
        batch: items at once.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE: after the results of what was done before.
    """
    waiting = list(dict.fromkeys(items))
    for start in range(0, len(waiting), batch):
        acting = (act(item) for item in waiting[start : start + batch])
        outcomes = await asyncio.gather(*acting, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, ItemResult):
                yield outcome
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
