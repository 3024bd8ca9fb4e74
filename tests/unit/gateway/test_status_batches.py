import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from schemas.operations import MAX_READS, StatusRead
from services.gateway.status_batches import MAX_CALLS, Result, StatusBatcher

LIMIT_S = 10


class Service:
    """Answers each read with its own user, once it is allowed to."""

    def __init__(self) -> None:
        self.calls: list[list[StatusRead]] = []
        self.begun = asyncio.Semaphore(0)
        self.allowed = asyncio.Event()
        self.failure: ExhaustError | None = None

    async def answer(self, reads: Sequence[StatusRead]) -> Sequence[Result]:
        self.calls.append(list(reads))
        self.begun.release()
        await self.allowed.wait()
        if self.failure is not None:
            raise self.failure
        return [
            {"user": read.user_id} if read.user_id else ExhaustError(ErrorCode.INVALID_REQUESTID, "no such request")
            for read in reads
        ]


def sent(reads: StatusBatcher, *users: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(reads.read(user, UUID(int=user))) for user in users]


async def busy(service: Service, reads: StatusBatcher) -> list[asyncio.Task[Any]]:
    """As many calls as there may be, which wait for their answers."""
    tasks = []
    async with asyncio.timeout(LIMIT_S):
        for number in range(1, MAX_CALLS + 1):
            tasks += sent(reads, number)
            await service.begun.acquire()
    return tasks


async def test_the_first_reads_are_sent_at_once_and_later_ones_share_a_call() -> None:
    service = Service()
    reads = StatusBatcher(service.answer)
    tasks = await busy(service, reads)
    tasks += sent(reads, *range(100, 100 + MAX_READS + 5))
    service.allowed.set()
    async with asyncio.timeout(LIMIT_S):
        results = await asyncio.gather(*tasks)
    assert [len(call) for call in service.calls] == [*[1] * MAX_CALLS, MAX_READS, 5]
    assert [result["user"] for result in results] == [*range(1, MAX_CALLS + 1), *range(100, 100 + MAX_READS + 5)]


async def test_each_read_has_its_own_answer_or_error() -> None:
    service = Service()
    reads = StatusBatcher(service.answer)
    tasks = [*await busy(service, reads), *sent(reads, 0, 7)]
    service.allowed.set()
    refused, result = (await asyncio.gather(*tasks, return_exceptions=True))[-2:]
    assert isinstance(refused, ExhaustError)
    assert (refused.code, result) == (ErrorCode.INVALID_REQUESTID, {"user": 7})


async def test_a_failed_call_fails_its_own_reads_only() -> None:
    service = Service()
    reads = StatusBatcher(service.answer)
    service.failure = unavailable("the status service")
    service.allowed.set()
    with pytest.raises(ExhaustError) as failed:
        await reads.read(1, UUID(int=1))
    assert failed.value.code is ErrorCode.SERVICE_UNAVAILABLE
    service.failure = None
    assert await reads.read(2, UUID(int=2)) == {"user": 2}


async def test_a_cancelled_read_cancels_no_other() -> None:
    service = Service()
    reads = StatusBatcher(service.answer)
    first, *_ = await busy(service, reads)
    gone, stays = sent(reads, 8, 9)
    await asyncio.sleep(0)  # both are gathered
    first.cancel()
    gone.cancel()
    service.allowed.set()
    async with asyncio.timeout(LIMIT_S):
        assert await stays == {"user": 9}
    assert gone.cancelled()
