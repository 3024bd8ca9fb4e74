"""The limit of dead letters: a defect of ours must not bury all traffic.

When too many records of a topic fail by what only we can have done wrong, as after a bad release, the consumer holds:
it stays in its group, takes no more records, and lets none become a dead letter. From time to time it tries one again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.kafka.records import RejectedRecordError, RejectionCode, rejection_of
from exhaust.metrics.catalogue import CONSUMER_HOLDS
from schemas.events import OUR_SOURCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from prometheus_client import Counter

    from exhaust.kafka.records import Record
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.process.slots import Slots
    from exhaust.settings import ConsumerSettings

# Codes that no partner and no stranger can cause: the work of our own code on records that are right.
DEFECTS: Final = frozenset({RejectionCode.INTERNAL, RejectionCode.WORK_FAILED})
# What a sender may have done wrong counts when the sender says that it is ours.
MALFORMED: Final = frozenset({RejectionCode.NOT_JSON, RejectionCode.SCHEMA, RejectionCode.UNKNOWN_DATASET})
_STEPS: Final = 60  # of a window

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Step:
    """A sixtieth of a window: when it began, and how many records ended well and badly in it."""

    began: float
    good: int = 0
    bad: int = 0


class DeadLetterLimit:
    """The limit of one consumer."""

    def __init__(
        self,
        settings: ConsumerSettings,
        topic: str,
        counted: Collection[RejectionCode],
        slots: Slots,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            settings: the number and the percentage of dead letters, and the window in which they are counted.
            topic: that is read.
            counted: the codes that count.
            slots: of the loop; work that waits keeps its slot.
            clock: monotonic seconds.
        """
        self._most = settings.dead_letter_limit
        self._percent = settings.dead_letter_percent
        self._window = settings.dead_letter_window
        self._topic = topic
        self._counted = frozenset(counted)
        self._slots = slots
        self._clock = clock
        self._steps: deque[_Step] = deque()
        self._turn = asyncio.Semaphore(0)
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._holds: Counter | None = None
        self.is_held = False

    def held(self) -> float:
        """Return 1 while the consumer holds, else 0."""
        return float(self.is_held)

    async def check(self) -> None:
        """Raise ExhaustError while the consumer holds."""
        if self.is_held:
            raise ExhaustError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"the consumer of {self._topic} holds, because too many of its records became dead letters; "
                "see the log for kafka.dead_letter, and restart the process when the cause is mended",
            )

    async def run(
        self, record: Record, work: Callable[[], Awaitable[None]], bury: Callable[[Exception], Awaitable[None]]
    ) -> None:
        """Do the work on a record; send the record to the dead letters when it fails, unless the consumer holds.

        Args:
            record: it is about this record.
            work: may be done again after a hold.
            bury: sends the record to the dead letters.
        """
        is_trial = False
        while True:
            try:
                await work()
            except Exception as error:
                if self._may_bury(record, error):
                    await bury(error)
                    break
                log.warning(
                    "kafka.record_held",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    error=f"{type(error).__name__}: {error}",
                    exc_info=not isinstance(error, RejectedRecordError),
                )
                if is_trial:
                    self._try_one_later()
            else:
                self._note(bad=False)
                break
            is_trial = await self._wait()
        if is_trial and self.is_held:
            self._release()

    def count(self, registry: MetricRegistry) -> None:
        """Count holds from now on."""
        self._holds = registry.counter(CONSUMER_HOLDS, [(self._topic,)])

    def _may_bury(self, record: Record, error: Exception) -> bool:
        """Return False for a record that ended badly by a defect while the consumer holds, or makes it hold."""
        if not self._counts(record, error):
            return True
        self._note(bad=True)
        if not self.is_held and self._is_over():
            self._hold()
        return not self.is_held

    def _counts(self, record: Record, error: Exception) -> bool:
        code, _ = rejection_of(error)
        if code in MALFORMED and not record.header("ce_source").startswith(OUR_SOURCES):
            return False
        return code in self._counted

    def _note(self, *, bad: bool) -> None:
        now = self._clock()
        length = self._window.total_seconds()
        while self._steps and self._steps[0].began <= now - length:
            self._steps.popleft()
        if not self._steps or self._steps[-1].began <= now - length / _STEPS:
            self._steps.append(_Step(now))
        self._steps[-1].bad += bad
        self._steps[-1].good += not bad

    def _is_over(self) -> bool:
        bad = sum(step.bad for step in self._steps)
        ended = bad + sum(step.good for step in self._steps)
        return bad >= self._most and 100 * bad > self._percent * ended

    def _hold(self) -> None:
        self.is_held = True
        log.error("kafka.consumer_holds", topic=self._topic, seconds=self._window.total_seconds())
        if self._holds is not None:
            self._holds.labels(self._topic).inc()
        self._try_one_later()

    def _try_one_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._window.total_seconds(), self._turn.release)

    async def _wait(self) -> bool:
        """Wait for a turn; return True when it is a trial, by which the others know whether they may go on."""
        self._waiting += 1
        try:
            with self._slots.wait_in_slot():
                await self._turn.acquire()
        finally:
            self._waiting -= 1
        return self.is_held

    def _release(self) -> None:
        """End the hold: what waited is done again."""
        self.is_held = False
        self._steps.clear()
        log.warning("kafka.consumer_goes_on", topic=self._topic)
        for _ in range(self._waiting):
            self._turn.release()

    def stop(self) -> None:
        """Try nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
