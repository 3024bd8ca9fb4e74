"""The migrations: numbered SQL files that bring the tables up to date."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from exhaust.postgres.database import Database

_MIGRATION_LOCK: Final = 7_203_001  # any constant; one migration holds it at a time


async def migrate(owner: Database, *, runtime_role: str) -> list[str]:
    """Bring the tables up to date and give the runtime role its rights; this may be repeated, and run twice at once.

    Returns:
        The names of the migrations that were applied now.

    Raises:
        ValueError: the file of an applied migration was changed.
    """
    applied_now = []
    async with owner.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
        applied = {row["name"]: row["sha256"] for row in rows}
        for file in _migrations():
            sql = file.read_text()
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if applied.get(file.name, digest) != digest:
                raise ValueError(f"{file.name} was changed after it was applied; write a new migration instead")
            if file.name not in applied:
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", file.name, digest
                )
                applied_now.append(file.name)
        await connection.execute("SELECT set_config('exhaust.runtime_role', $1, true)", runtime_role)
        await connection.execute(
            resources.files("exhaust.postgres.migrations").joinpath("runtime_role.sql").read_text()
        )
    return applied_now


def _migrations() -> list[Traversable]:
    folder = resources.files("exhaust.postgres.migrations")
    return sorted((file for file in folder.iterdir() if file.name[:4].isdigit()), key=lambda file: file.name)
