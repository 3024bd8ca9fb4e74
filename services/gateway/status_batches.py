"""The batching of status reads: reads that arrive while calls to the status service are under way share one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ExhaustError
from schemas.operations import MAX_READS, StatusRead

if TYPE_CHECKING:
    from uuid import UUID

# The second is sent while the first is answered; more calls would only make the batches smaller.
MAX_CALLS: Final = 2

Result = Mapping[str, Any] | ExhaustError
ReadMany = Callable[[Sequence[StatusRead]], Awaitable[Sequence[Result]]]


@dataclass(frozen=True, slots=True)
class _Batch:
    reads: list[StatusRead]
    call: asyncio.Task[Sequence[Result]]


class StatusBatcher:
    """Gathers reads into calls. A read is sent at once and alone while fewer than MAX_CALLS calls are under way."""

    def __init__(self, read_many: ReadMany) -> None:
        """Prepare.

        Args:
            read_many: makes one call for at most MAX_READS reads, within a deadline of its own; returns a result or
                an error for each, in their order.
        """
        self._read_many = read_many
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._open_batch: _Batch | None = None

    async def read(self, user_id: int, request_id: UUID) -> Mapping[str, Any]:
        """Return the result of one read, as of a moment after this call.

        Raises:
            ExhaustError: the error of this read.
        """
        batch = self._open_batch
        if batch is None or len(batch.reads) == MAX_READS:
            reads: list[StatusRead] = []
            batch = self._open_batch = _Batch(reads, asyncio.create_task(self._call(reads)))
        place = len(batch.reads)
        batch.reads.append(StatusRead(user_id, request_id))
        results = await asyncio.shield(batch.call)  # a caller who gives up cancels nobody else's read
        result = results[place]
        if isinstance(result, ExhaustError):
            raise result
        return result

    async def _call(self, reads: list[StatusRead]) -> Sequence[Result]:
        async with self._slots:
            if self._open_batch is not None and self._open_batch.reads is reads:
                self._open_batch = None  # later reads go into the next batch
            return await self._read_many(reads)
