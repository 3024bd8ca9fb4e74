"""Retries of work that fails for a while."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import stamina
import structlog

from exhaust.errors import ExhaustError
from exhaust.process.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from exhaust.errors import Dependency
    from exhaust.process.dependencies import DependencyGate

FIRST_WAIT: Final = timedelta(milliseconds=100)
LONGEST_WAIT: Final = timedelta(seconds=5)
JITTER: Final = 0.2  # of a pause, more or less

_random: Final = SystemRandom()

log = structlog.get_logger(__name__)


async def retry_while_unavailable(
    work: Callable[[], Awaitable[None]],
    *,
    give_up_after: timedelta | None,
    slots: Slots | None = None,
    has_failed: bool = False,
) -> None:
    """Do a piece of work, and repeat it while it raises an ExhaustError that is retryable.

    Args:
        work: is called at least once, and must be safe to repeat.
        give_up_after: counted from the first failure. The first failure after it is raised; None repeats for ever.
        slots: of the loop. From its first failure on the work leaves its slot while it is not tried.
        has_failed: it has failed in an earlier round.

    Raises:
        ExhaustError: not retryable, or not over in time.
    """
    if not has_failed:
        try:
            await work()
        except ExhaustError as error:
            if not error.retryable:
                raise
        else:
            return
    slots = slots or Slots(1)
    with slots.wait_outside() as is_outside:
        if not has_failed:
            await asyncio.sleep(FIRST_WAIT.total_seconds())
        async for attempt in stamina.retry_context(
            on=_is_retryable, attempts=None, timeout=give_up_after, wait_initial=FIRST_WAIT, wait_max=LONGEST_WAIT
        ):
            with attempt:
                async with slots.try_again(is_outside=is_outside):
                    await work()


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, ExhaustError) and error.retryable


@dataclass(frozen=True, slots=True)
class Patience:
    """How long work is tried that fails although every server answers.

    Attributes:
        round: how long it is tried without a pause.
        pauses: before each further round.
        endless: repeat the last pause for ever, instead of giving up after the last round.
    """

    round: timedelta
    pauses: tuple[timedelta, ...]
    endless: bool = False

    def each_pause(self) -> Iterator[timedelta]:
        """Yield the pauses, with jitter: what failed together is not repeated together."""
        for pause in itertools.chain(self.pauses, itertools.repeat(self.pauses[-1]) if self.endless else ()):
            yield pause * _random.uniform(1 - JITTER, 1 + JITTER)


@dataclass(frozen=True, slots=True)
class Retries:
    """Repeats the work on the records of a loop.

    While a server is away, work waits at its gate for as long as it takes. Work that fails although the server answers
    is tried again for a while, and then, after a pause, in further rounds. Between tries it holds no slot of the loop.
    """

    slots: Slots
    patience: Patience
    gates: Mapping[Dependency, DependencyGate] = field(default_factory=dict)

    async def run(self, work: Callable[[], Awaitable[None]], *, needs: Collection[Dependency] = ()) -> None:
        """Do a piece of work until it succeeds.

        Args:
            work: must be safe to repeat.
            needs: servers without which it is not begun.

        Raises:
            ExhaustError: not retryable, or not over after the last round.
        """
        pauses = self.patience.each_pause()
        has_failed = False
        while True:
            try:
                await self._one_round(work, needs, has_failed=has_failed)
            except ExhaustError as error:
                pause = next(pauses, None) if error.retryable else None
                if pause is None:
                    raise
                log.warning("work.paused", error=error.message, seconds=round(pause.total_seconds(), 1))
                has_failed = True
                with self.slots.wait_outside():
                    await asyncio.sleep(pause.total_seconds())
            else:
                return

    async def _one_round(
        self, work: Callable[[], Awaitable[None]], needs: Collection[Dependency], *, has_failed: bool
    ) -> None:
        async def attempt() -> None:
            try:
                await work()
            except ExhaustError as error:
                gate = None if error.dependency is None else self.gates.get(error.dependency)
                if gate is not None and error.retryable:
                    gate.count_retry()
                    if not await gate.answers():
                        raise _AwayError(gate) from error
                raise

        gates = [self.gates[dependency] for dependency in needs if dependency in self.gates]
        while True:
            await self._pass(*gates)
            try:
                await retry_while_unavailable(
                    attempt, give_up_after=self.patience.round, slots=self.slots, has_failed=has_failed
                )
            except _AwayError as away:
                await self._pass(away.gate)
            else:
                return

    async def _pass(self, *gates: DependencyGate) -> None:
        while closed := [gate for gate in gates if not gate.is_open]:
            with self.slots.wait_in_slot():
                await closed[0].wait()


class _AwayError(Exception):
    """The server that the work needs is away: its failure says nothing about the work."""

    def __init__(self, gate: DependencyGate) -> None:
        super().__init__(gate.dependency)
        self.gate = gate
