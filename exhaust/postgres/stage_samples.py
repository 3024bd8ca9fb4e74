"""The table stage_samples: what the console saw of each stage, for 48 hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from exhaust.postgres.database import Connection, Database

SAMPLE_LOCK: Final = 7_203_004  # any constant; one console of all writes at a time
EVERY: Final = timedelta(seconds=15)
KEPT_FOR: Final = timedelta(hours=48)
BATCH: Final = 500  # old rows that one write removes at most, which is more than it adds
# A console may be a little early: without the tolerance each second row would come a whole look later.
_TOLERANCE: Final = timedelta(seconds=1)

_LEAD: Final = """
SELECT pg_try_advisory_xact_lock($1) AS leads, (SELECT max(at) FROM stage_samples) AS latest, now() AS now
"""
_ADD: Final = """
INSERT INTO stage_samples (at, stage, messages, work_days, oldest, done, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
_PRUNE: Final = """
DELETE FROM stage_samples WHERE (at, stage) IN (
    SELECT at, stage FROM stage_samples WHERE at < now() - $1::interval ORDER BY at LIMIT $2
)
"""
_RECENT: Final = """
SELECT at, stage, messages, work_days, oldest, done, detail FROM stage_samples
WHERE at >= now() - $1::interval ORDER BY at
"""
# A bin shows the most that waited in it; its counter is what had been done at its end.
_HISTORY: Final = """
SELECT date_bin($2::interval, at, timestamptz '2000-01-01 00:00:00+00') AS begins, stage, max(messages) AS messages,
       max(work_days) AS work_days, max(at - oldest) AS age, max(done) AS done
FROM stage_samples WHERE at >= now() - $1::interval GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class BinnedSample:
    """The samples of a stage in a span of time.

    Attributes:
        begins: the span.
        messages: the most that waited.
        work_days: likewise; None where the stage has no days of work.
        age: of the oldest; None when nothing waited.
        done: the counter at the end.
    """

    begins: datetime
    stage: str
    messages: int
    work_days: int | None
    age: timedelta | None
    done: int


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A row.

    Attributes:
        detail: the rest of the sample, in JSON's types; its keys are the sampler's affair.
    """

    stage: str
    at: datetime
    messages: int
    work_days: int | None
    oldest: datetime | None
    done: int
    detail: Mapping[str, Any] = field(default_factory=dict)


async def lead(connection: Connection, *, at_once: bool = False) -> bool:
    """Return True when it is this console's turn to write, for the rest of the transaction.

    Args:
        connection: in a transaction.
        at_once: do not wait until the latest row is EVERY old.
    """
    row = await connection.fetch_one(_LEAD, SAMPLE_LOCK)
    if row is None or not row["leads"]:
        return False
    return at_once or row["latest"] is None or row["now"] - row["latest"] >= EVERY - _TOLERANCE


async def add_samples(connection: Connection, samples: Sequence[StoredSample]) -> None:
    """Add a row for each stage, and remove some that are older than KEPT_FOR."""
    for sample in samples:
        await connection.execute(
            _ADD,
            sample.at,
            sample.stage,
            sample.messages,
            sample.work_days,
            sample.oldest,
            sample.done,
            dict(sample.detail),
        )
    await connection.execute(_PRUNE, KEPT_FOR, BATCH)


async def recent_samples(database: Database, over: timedelta) -> list[StoredSample]:
    """Return the rows of a time before now, oldest first.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    return [StoredSample(**dict(row)) for row in await database.fetch(_RECENT, over)]


async def sample_history(database: Database, over: timedelta, every: timedelta) -> list[BinnedSample]:
    """Return the rows of a time before now in bins, oldest first, so that a chart has few points.

    Args:
        database: with the history.
        over: the time before now.
        every: the length of a bin.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    return [BinnedSample(*row.values()) for row in await database.fetch(_HISTORY, over, every)]
