"""The age of the oldest undelivered dead letter: Kafka deletes it one day, and its record with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from exhaust.metrics.catalogue import DEAD_LETTERS_OLDEST
from exhaust.postgres.database import TABLES_DIFFER
from exhaust.postgres.dead_letters import count_letters
from exhaust.process.periodic import run_periodically

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.process.health import Health

INTERVAL: Final = timedelta(seconds=30)
NOT_SEEN: Final = float("nan")


class DeadLetterAge:
    """Looks at the index of dead letters at an interval, and exports how old the oldest is; NaN while it cannot."""

    def __init__(self, database: Database, health: Health) -> None:
        self._database = database
        self._health = health
        self._has_looked = False
        self._oldest: datetime | None = None
        health.registry.gauge(DEAD_LETTERS_OLDEST).set_function(self.seconds)

    async def run(self) -> None:
        """Look until the process stops."""
        await run_periodically(self._health, "dead_letter_age", self.look, interval=INTERVAL)

    async def look(self) -> bool:
        """Look once; return False when the tables, or the rights to read them, are of another version.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        self._has_looked = False
        try:
            self._oldest = (await count_letters(self._database)).oldest
        except TABLES_DIFFER:
            return False
        self._has_looked = True
        return True

    def seconds(self) -> float:
        """Return the age now; 0 when none waits."""
        if not self._has_looked:
            return NOT_SEEN
        return max((datetime.now(UTC) - self._oldest).total_seconds(), 0.0) if self._oldest else 0.0
