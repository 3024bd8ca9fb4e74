"""Status reads on their way to the status service: those that come while others are out go together, in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ExhaustError
from schemas.operations import MAX_READS, StatusRead

if TYPE_CHECKING:
    from uuid import UUID

# The second goes while the first is answered; more would only make them smaller.
MAX_CALLS: Final = 2

Result = Mapping[str, Any] | ExhaustError
Ask = Callable[[Sequence[StatusRead]], Awaitable[Sequence[Result]]]


@dataclass(frozen=True, slots=True)
class _Batch:
    reads: list[StatusRead]
    call: asyncio.Task[Sequence[Result]]


class StatusBatcher:
    """Gathers reads into calls. A read that finds nothing on its way goes at once and alone."""

    def __init__(self, ask: Ask) -> None:
        """Prepare.

        Args:
            ask: makes one call for at most MAX_READS reads, within a deadline of its own; a result or an error for
                each, in their order.
        """
        self._ask = ask
        self._turn = asyncio.Semaphore(MAX_CALLS)
        self._gathering: _Batch | None = None

    async def read(self, user_id: int, request_id: UUID) -> Mapping[str, Any]:
        """The result of one read, as of a moment after this call.

        Raises:
            ExhaustError: why there is none.
        """
        batch = self._gathering
        if batch is None or len(batch.reads) == MAX_READS:
            reads: list[StatusRead] = []
            batch = self._gathering = _Batch(reads, asyncio.create_task(self._call(reads)))
        place = len(batch.reads)
        batch.reads.append(StatusRead(user_id, request_id))
        results = await asyncio.shield(batch.call)  # who gives up does so alone
        result = results[place]
        if isinstance(result, ExhaustError):
            raise result
        return result

    async def _call(self, reads: list[StatusRead]) -> Sequence[Result]:
        async with self._turn:
            if self._gathering is not None and self._gathering.reads is reads:
                self._gathering = None  # whoever comes now goes with the next
            return await self._ask(reads)
