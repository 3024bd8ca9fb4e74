"""What operators have to know beside the lag: why requests failed, dead letters, and what is paused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.errors import ExhaustError
from exhaust.postgres.database import TABLES_DIFFER
from exhaust.postgres.dead_letters import count_letters
from exhaust.postgres.failures import count_recent_causes
from exhaust.postgres.pauses import find_pauses

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.domain.dead_letters import LetterCounts
    from exhaust.postgres.database import Database
    from exhaust.postgres.failures import RecentCause
    from exhaust.postgres.pauses import Pause

FOUND_WITHIN: Final = timedelta(seconds=1.2)
AWAY: Final = "PostgreSQL does not answer"
TABLES_OLD: Final = "the tables, or the rights to read them, are of another version; see `exhaustctl migrate`"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, or why nothing could be.

    Attributes:
        causes: of failed requests, that of the most requests first; None when they could not be seen.
        letters: dead letters; likewise.
        pauses: the oldest first; likewise.
        unseen: why, without its full stop; empty when all was seen.
    """

    causes: list[RecentCause] | None = None
    letters: LetterCounts | None = None
    pauses: list[Pause] | None = None
    unseen: str = ""

    def document(self, now: datetime) -> dict[str, Any]:
        """Return it as JSON's types."""
        return {
            "deadletters": None if self.letters is None else _letters(self.letters, now),
            "causes": None if self.causes is None else [_cause(cause) for cause in self.causes],
            "pauses": None if self.pauses is None else [pause_document(pause) for pause in self.pauses],
        }


async def find(database: Database | None) -> Findings:
    """Look at the database, within FOUND_WITHIN; without one, nothing is found."""
    if database is None:
        return Findings()
    try:
        async with asyncio.timeout(FOUND_WITHIN.total_seconds()):
            pauses = await find_pauses(database)
            async with database.transaction() as connection:
                return Findings(await count_recent_causes(connection), await count_letters(connection), pauses)
    except (ExhaustError, TimeoutError):
        return Findings(unseen=AWAY)
    except TABLES_DIFFER:
        return Findings(unseen=TABLES_OLD)


def _letters(letters: LetterCounts, now: datetime) -> dict[str, Any]:
    oldest = None if letters.oldest is None else max(round((now - letters.oldest).total_seconds(), 3), 0.0)
    counts = {"waiting": letters.waiting, "today": letters.today, "undelivered": letters.undelivered}
    return counts | {"oldestseconds": oldest}


def _cause(cause: RecentCause) -> dict[str, Any]:
    return {
        "code": cause.code,
        "object": cause.object,
        "dataset": cause.dataset,
        "requests": cause.requests,
        "partners": cause.partners,
        "since": _time(cause.since),
        "latest": _time(cause.latest),
    }


def pause_document(pause: Pause) -> dict[str, Any]:
    """Return what is paused, by whom and why, as JSON's types."""
    return {
        "kind": pause.target.kind.value,
        "name": pause.target.name,
        "named": pause.target.shown,
        "since": _time(pause.since),
        "by": pause.actor,
        "reason": pause.reason,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
