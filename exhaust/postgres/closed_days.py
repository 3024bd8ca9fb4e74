"""The table closed_days: of each dataset the newest day that is closed. A trigger tells webhooks (migration 0024)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

    from exhaust.postgres.database import Database

MAX_MISSED: Final = 31  # days that are told of one after the other when nobody could tell for long

_NEWEST: Final = "SELECT day FROM closed_days WHERE dataset_id = $1"
# Of several processes one closes a day, and a clock that goes back closes none again.
_CLOSE: Final = """
INSERT INTO closed_days AS c (dataset_id, day) VALUES ($1, $2)
ON CONFLICT (dataset_id) DO UPDATE SET day = EXCLUDED.day, closed_at = now() WHERE c.day < EXCLUDED.day
RETURNING day
"""


async def close_days(database: Database, dataset: str, newest: date) -> int:
    """Close the days of a dataset up to one, each in its turn; return how many these were.

    Of a dataset of which no day is closed yet, only the newest is.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; what was closed until then stays closed.
    """
    row = await database.fetch_one(_NEWEST, dataset)
    closed = row["day"] if row else newest - timedelta(days=1)
    first = max(closed + timedelta(days=1), newest - timedelta(days=MAX_MISSED - 1))
    count = 0
    for offset in range((newest - first).days + 1):
        count += await database.fetch_one(_CLOSE, dataset, first + timedelta(days=offset)) is not None
    return count
