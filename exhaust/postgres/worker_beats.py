"""The table worker_beats: what each aggregator last told of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from exhaust.postgres.database import Connection, Database

KEPT_FOR: Final = timedelta(hours=1)
_PUT: Final = """
INSERT INTO worker_beats AS w (worker, at, progress_at, beat) VALUES ($1, $2, $3, $4)
ON CONFLICT (worker) DO UPDATE SET at = EXCLUDED.at, progress_at = EXCLUDED.progress_at, beat = EXCLUDED.beat
WHERE EXCLUDED.at >= w.at
"""
_PRUNE: Final = "DELETE FROM worker_beats WHERE at < now() - $1::interval"
_ALL: Final = "SELECT worker, at, progress_at, beat FROM worker_beats WHERE at >= now() - $1::interval ORDER BY worker"


@dataclass(frozen=True, slots=True)
class StoredBeat:
    """A row.

    Attributes:
        progress_at: when the worker's bytes were last seen to grow.
        beat: the data of the event, in JSON's types.
    """

    worker: str
    at: datetime
    progress_at: datetime | None
    beat: Mapping[str, Any]


async def put_beats(connection: Connection, beats: Sequence[StoredBeat]) -> None:
    """Keep the latest beat of each worker, and forget those who are silent for an hour."""
    for beat in beats:
        await connection.execute(_PUT, beat.worker, beat.at, beat.progress_at, dict(beat.beat))
    await connection.execute(_PRUNE, KEPT_FOR)


async def latest_beats(database: Database) -> list[StoredBeat]:
    """Return the latest beat of each worker that has told something in the last hour.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    return [StoredBeat(**dict(row)) for row in await database.fetch(_ALL, KEPT_FOR)]
