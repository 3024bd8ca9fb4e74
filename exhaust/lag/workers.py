"""The workers, as they tell of themselves on the topic of beats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from schemas.events import WorkerBeat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

SILENT_AFTER: Final = timedelta(seconds=45)  # four beats that did not come
FORGOTTEN_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, by its latest beat.

    Attributes:
        progress_at: when its bytes were last seen to grow; None while that was never seen.
    """

    beat: WorkerBeat
    progress_at: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Return True when it has told nothing for so long that it is gone, or stands still."""
        return now - self.beat.at > SILENT_AFTER


def hear(known: Iterable[Worker], told: Iterable[bytes], now: datetime) -> tuple[Worker, ...]:
    """Return the workers after some more beats, ordered by name. What is no beat is passed over.

    Args:
        known: the workers before.
        told: values of records, in their order.
        now: the present; who is silent for FORGOTTEN_AFTER is left out.
    """
    workers = {worker.beat.worker: worker for worker in known}
    for value in told:
        try:
            beat = WorkerBeat.model_validate_json(value)
        except ValidationError:
            continue
        before = workers.get(beat.worker)
        if before is None or beat.at >= before.beat.at:
            workers[beat.worker] = Worker(beat, _progress(beat, before))
    return tuple(worker for _, worker in sorted(workers.items()) if now - worker.beat.at < FORGOTTEN_AFTER)


def last_progress(workers: Iterable[Worker]) -> datetime | None:
    """Return when any worker last told of growing bytes."""
    return max((worker.progress_at for worker in workers if worker.progress_at is not None), default=None)


def slowest_days(workers: Iterable[Worker], now: datetime) -> timedelta | None:
    """Return the greatest 95th percentile of a day's time that a worker tells; None when none does."""
    told = [worker.beat.dayp95 for worker in workers if not worker.is_silent(now) and worker.beat.dayp95 is not None]
    return timedelta(seconds=max(told)) if told else None


def _progress(beat: WorkerBeat, before: Worker | None) -> datetime | None:
    if before is None:
        return None
    return beat.at if beat.bytesdone > before.beat.bytesdone else before.progress_at
