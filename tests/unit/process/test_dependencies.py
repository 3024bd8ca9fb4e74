"""Gates hold work while a server is away, and open by themselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import Dependency, ErrorCode, ExhaustError, unavailable
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.dependencies import DependencyGate, open_gates
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_S = 10.0
AT_ONCE = timedelta(milliseconds=1)


class Server:
    """A server that is away until it is told to answer."""

    def __init__(self, *, answers: bool = False) -> None:
        self.answers = answers
        self.pings = 0
        self._asked = asyncio.Semaphore(0)

    async def ping(self) -> None:
        self.pings += 1
        self._asked.release()
        await asyncio.sleep(0)
        if not self.answers:
            raise unavailable(Dependency.S3)

    async def pinged(self, times: int) -> None:
        """Returns when it was pinged so many times more; all but the first by a closed gate."""
        for _ in range(times):
            await self._asked.acquire()


class Work:
    """Work that a server is needed for."""

    def __init__(self, server: Server, *, error: ExhaustError | None = None, failures: int = 0) -> None:
        self.server = server
        self.error = error or unavailable(Dependency.S3)
        self.failures = failures
        self.tries = 0
        self.done = 0

    async def __call__(self) -> None:
        self.tries += 1
        if not self.server.answers or self.tries <= self.failures:
            raise self.error
        self.done += 1


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def gate(server: Server) -> AsyncIterator[DependencyGate]:
    gate = DependencyGate(Dependency.S3, server.ping)
    yield gate
    await gate.close()


def retries(gate: DependencyGate, *, pauses: int = 0, slots: int = 1, endless: bool = False) -> Retries:
    return Retries(Slots(slots), Patience(AT_ONCE, (AT_ONCE,) * pauses, endless), {gate.dependency: gate})


async def test_work_waits_for_a_server_that_is_away_longer_than_work_is_retried(
    gate: DependencyGate, server: Server
) -> None:
    works = [Work(server) for _ in range(12)]
    slots = retries(gate)
    running = [asyncio.create_task(slots.run(work)) for work in works]
    async with asyncio.timeout(LIMIT_S):
        await server.pinged(4)  # far more time than AT_ONCE
        assert not any(task.done() for task in running)
        assert {work.tries for work in works} == {1}, "nobody tries while the gate is closed"
        server.answers = True
        await asyncio.gather(*running)
    assert {work.done for work in works} == {1}
    assert gate.is_open


async def test_however_many_fail_the_server_is_asked_once(gate: DependencyGate, server: Server) -> None:
    answers = await asyncio.gather(*(gate.answers() for _ in range(50)))
    assert answers == [False] * 50
    assert server.pings == 1


async def test_work_is_not_begun_while_the_gate_of_a_server_that_it_needs_is_closed(
    gate: DependencyGate, server: Server
) -> None:
    assert not await gate.answers()
    work = Work(server)
    running = asyncio.create_task(retries(gate).run(work, needs=(Dependency.S3, Dependency.KAFKA)))
    async with asyncio.timeout(LIMIT_S):
        await server.pinged(2)
        assert work.tries == 0
        server.answers = True
        await running
    assert work.tries == 1


async def test_work_that_fails_although_the_server_answers_is_given_up(gate: DependencyGate, server: Server) -> None:
    server.answers = True
    work = Work(server, failures=1000)
    with pytest.raises(ExhaustError, match="S3 does not answer"):
        await asyncio.wait_for(retries(gate, pauses=3).run(work), LIMIT_S)
    assert work.tries >= 2 * 4
    assert gate.is_open


async def test_work_whose_fault_ends_in_a_later_round_succeeds(gate: DependencyGate, server: Server) -> None:
    server.answers = True
    work = Work(server, failures=5)
    await asyncio.wait_for(retries(gate, pauses=3).run(work), LIMIT_S)
    assert work.done == 1


async def test_endless_patience_never_gives_up(gate: DependencyGate, server: Server) -> None:
    server.answers = True
    work = Work(server, failures=12)
    await asyncio.wait_for(retries(gate, pauses=1, endless=True).run(work), LIMIT_S)
    assert work.done == 1


async def test_an_error_that_is_not_retryable_is_raised_at_once(gate: DependencyGate, server: Server) -> None:
    server.answers = True
    work = Work(server, error=ExhaustError(ErrorCode.LIMIT_EXCEEDED, "too large"), failures=1)
    with pytest.raises(ExhaustError, match="too large"):
        await retries(gate, pauses=3).run(work)
    assert (work.tries, server.pings) == (1, 0)


async def test_a_ping_that_breaks_is_no_answer(server: Server) -> None:
    async def broken() -> None:
        await server.ping()
        raise AssertionError("of the driver")

    server.answers = True
    gate = DependencyGate(Dependency.S3, broken)
    assert not await gate.answers()
    await gate.close()


async def test_metrics_tell_which_server_work_waits_for(server: Server) -> None:
    registry = MetricRegistry()
    async with open_gates(registry, {Dependency.S3: server.ping, Dependency.KAFKA: server.ping}) as gates:
        assert not await gates[Dependency.S3].answers()
        text = registry.text().decode()
    assert 'exhaust_dependency_away{dependency="s3"} 1.0' in text
    assert 'exhaust_dependency_away{dependency="kafka"} 0.0' in text


@pytest.mark.parametrize("dependency", list(Dependency))
def test_an_error_knows_the_server_that_it_speaks_of(dependency: Dependency) -> None:
    assert unavailable(dependency).dependency is dependency
    assert unavailable("a scanning process").dependency is None
