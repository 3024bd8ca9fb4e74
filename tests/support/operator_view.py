"""Requests as operators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exhaust.postgres.database import Database


async def outcome_of(database: Database, request_id: str) -> dict[str, Any]:
    """What the row of a request says of its end, in the words of whoever reported it."""
    row = await database.fetch_one("SELECT outcome FROM requests WHERE request_id = $1", request_id)
    assert row is not None
    return dict(row["outcome"])
