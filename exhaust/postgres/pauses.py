"""The table pauses: partners and datasets whose requests the relay does not release."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.postgres.database import Connection, Database, Row

# As in the audit, the database puts its own user before the name of an operator.
_ADD: Final = """
INSERT INTO pauses (kind, name, shown, reason, actor) VALUES (
    $1, $2, $3, $4,
    CASE WHEN starts_with($5, 'operator/') THEN 'operator/' || session_user || substr($5, length('operator/'))
         ELSE $5 END
) ON CONFLICT DO NOTHING RETURNING kind
"""
PAUSE_COLUMNS: Final = "SELECT kind, name, shown, reason, actor, since FROM pauses"
_FIND: Final = f"{PAUSE_COLUMNS} WHERE kind = $1 AND name = $2"
_LIST: Final = f"{PAUSE_COLUMNS} ORDER BY since, kind, name"
_REMOVE: Final = "DELETE FROM pauses WHERE kind = $1 AND name = $2"


class PausedKind(StrEnum):
    """The kinds of what can be paused."""

    PARTNER = "partner"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """A partner or a dataset.

    Attributes:
        name: the resource id of a partner, or the own id of a dataset.
        shown: as the operator named it.
    """

    kind: PausedKind
    name: str
    shown: str

    @property
    def subject(self) -> str:
        """The target as the audit names it."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause: of what, who wanted it, why, and since when."""

    target: PauseTarget
    reason: str
    actor: str
    since: datetime


async def add_pause(connection: Connection, target: PauseTarget, *, actor: str, reason: str) -> Pause | None:
    """Pause something, in the transaction of its audit; return the pause that was there before, and stays."""
    added = await connection.fetch_one(_ADD, target.kind, target.name, target.shown, reason, actor)
    if added is not None:
        return None
    row = await connection.fetch_one(_FIND, target.kind, target.name)
    return pause_of(row) if row else None


async def remove_pause(connection: Connection, target: PauseTarget) -> bool:
    """Resume something, in the transaction of its audit; return False when it is not paused."""
    return bool(await connection.execute(_REMOVE, target.kind, target.name))


async def find_pauses(database: Database) -> list[Pause]:
    """Return all pauses, the oldest first."""
    return [pause_of(row) for row in await database.fetch(_LIST)]


def pause_of(row: Row) -> Pause:
    """Return the pause in a row of PAUSE_COLUMNS."""
    target = PauseTarget(PausedKind(row["kind"]), row["name"], row["shown"])
    return Pause(target, row["reason"], row["actor"], row["since"])
