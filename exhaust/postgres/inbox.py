"""The table inbox: completion events that were applied, so that each counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exhaust.postgres.database import Connection

_INSERT: Final = "INSERT INTO inbox (source, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"


async def record_event(connection: Connection, source: str, event_id: str) -> bool:
    """Record an event in the transaction that applies it; return False when it was recorded before."""
    return bool(await connection.execute(_INSERT, source, event_id))
