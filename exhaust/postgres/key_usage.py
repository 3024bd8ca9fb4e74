"""The table key_usage: what the aggregators built for each user on a day of UTC, by the database's clock.

It is written by the statement that records a finished day, and read by the one that counts open requests, so that
neither a completion event nor a submit pays for a round trip of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

    from exhaust.postgres.database import Database

KEPT_FOR: Final = timedelta(days=3)

# Beside the insertion of a day of telemetry, in one statement: no part of a statement sees what another one writes, so
# the day counts when it was never reported before, in this attempt or an earlier one. No sum leaves the numbers that
# JSON holds exactly, whatever an event says.
COUNT_BUILT_DAY: Final = """
INSERT INTO key_usage AS u (user_id, day, days_built, bytes_built)
SELECT user_id, (now() AT TIME ZONE 'UTC')::date, 1, $5 FROM requests
WHERE request_id = $1 AND NOT EXISTS (SELECT FROM request_days WHERE request_id = $1 AND day = $3)
ON CONFLICT (user_id, day) DO UPDATE
SET days_built = u.days_built + 1, bytes_built = least(u.bytes_built + EXCLUDED.bytes_built, 9007199254740991)
"""
_FORGET_OLD: Final = "DELETE FROM key_usage WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::integer RETURNING day"


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What was built for a user on the present day of UTC.

    Attributes:
        day: the present one.
        days_built: days of telemetry whose archives did not exist.
        bytes_built: of the lines in them, uncompressed.
        ends_in: the time until the next day begins.
    """

    day: date
    days_built: int
    bytes_built: int
    ends_in: timedelta


async def forget_old_usage(database: Database) -> int:
    """Delete what was built longer ago than KEPT_FOR; return the number of rows."""
    return len(await database.fetch(_FORGET_OLD, KEPT_FOR.days))
