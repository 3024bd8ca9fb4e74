"""The table inbox: completion events that were applied, so that each counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exhaust.postgres.database import Connection, Database

_INSERT: Final = "INSERT INTO inbox (source, event_id, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_FIND: Final = "SELECT 1 FROM inbox WHERE (source, event_id, digest) = ($1, $2, $3)"


@dataclass(frozen=True, slots=True)
class EventIdentity:
    """The identity of an event.

    Attributes:
        source: who sent it, by its own word.
        event_id: unique within the source, by its own word.
        digest: of all that it says, so that another event under the same id is another one.
    """

    source: str
    event_id: str
    digest: bytes


async def record_event(connection: Connection, event: EventIdentity) -> bool:
    """Record an event in the transaction that applies it; return False when it was recorded before."""
    return bool(await connection.execute(_INSERT, event.source, event.event_id, event.digest))


async def is_recorded(database: Database, event: EventIdentity) -> bool:
    """Return True when an event was applied before."""
    return await database.fetch_one(_FIND, event.source, event.event_id, event.digest) is not None
