"""The migrations: numbered SQL files that bring the tables up to date."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Final

from exhaust.errors import ConfigurationError
from exhaust.postgres.registrations import hold_name_keys
from exhaust.postgres.requests import fill_partner_resources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    from exhaust.postgres.database import Connection, Database

RUNTIME_ROLE: Final = "exhaust_runtime"
GATEWAY_ROLE: Final = "exhaust_gateway"
STATUS_ROLE: Final = "exhaust_status"
CONSOLE_ROLE: Final = "exhaust_console"
OPERATOR_ROLE: Final = "exhaust_operator"

LOCK_TIMEOUT: Final = timedelta(seconds=5)
_MIGRATION_LOCK: Final = 7_203_001  # any constant; one migration holds it at a time


async def migrate(
    owner: Database,
    *,
    runtime_role: str | None = None,
    gateway_role: str | None = None,
    status_role: str | None = None,
    console_role: str | None = None,
    operator_role: str | None = None,
    lock_timeout: timedelta = LOCK_TIMEOUT,
) -> list[str]:
    """Bring the tables up to date and give the services' roles their rights. Safe to repeat and to run twice at once.

    All is done or nothing. Services of the version before may run meanwhile.

    Args:
        owner: the database, with the role that owns the tables.
        runtime_role: role of services that share one; RUNTIME_ROLE, if it exists, when left out.
        gateway_role: role of the gateway alone; GATEWAY_ROLE, if it exists, when left out.
        status_role: role of the status service alone; STATUS_ROLE, if it exists, when left out.
        console_role: role of the console; CONSOLE_ROLE, if it exists, when left out.
        operator_role: role of the console for the actions of operators; OPERATOR_ROLE, if it exists, when left out.
        lock_timeout: how long to wait for a transaction that uses a table; whoever comes later waits behind.

    Returns:
        Names of the migrations that were applied now.

    Raises:
        ValueError: a migration that was applied earlier has another text now.
        ConfigurationError: a role that was named does not exist, or none does.
        ExhaustError: SERVICE_UNAVAILABLE; nothing was changed.
    """
    async with owner.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        limit = f"{lock_timeout // timedelta(milliseconds=1)}ms"
        await connection.execute("SELECT set_config('lock_timeout', $1, true)", limit)
        applied = await _apply_missing(connection)
        await hold_name_keys(connection)
        await fill_partner_resources(connection)
        runtime = await _existing(connection, runtime_role, RUNTIME_ROLE)
        parts = {
            "gateway": await _existing(connection, gateway_role, GATEWAY_ROLE) + runtime,
            "status": await _existing(connection, status_role, STATUS_ROLE) + runtime,
            "console": await _existing(connection, console_role, CONSOLE_ROLE) + runtime,
            "operator": await _existing(connection, operator_role, OPERATOR_ROLE),
        }
        await _give_rights(connection, runtime, parts)
    return applied


async def _apply_missing(connection: Connection) -> list[str]:
    """Apply the files that are not applied yet, in the order of their numbers; return their names."""
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
    applied = {row["name"]: row["sha256"] for row in rows}
    applied_now = []
    for file in _migrations():
        sql = file.read_text()
        digest = hashlib.sha256(sql.encode()).hexdigest()
        if applied.get(file.name, digest) != digest:
            raise ValueError(f"{file.name} was changed after it was applied; write a new migration instead")
        if file.name not in applied:
            await connection.execute(sql)
            await connection.execute("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", file.name, digest)
            applied_now.append(file.name)
    return applied_now


async def _existing(connection: Connection, named: str | None, default: str) -> list[str]:
    """Return the role, named or by default, or nothing when the default does not exist."""
    rows = await connection.fetch("SELECT rolname::text FROM pg_roles WHERE rolname = $1", named or default)
    if named and not rows:
        raise ConfigurationError(f"the database has no role {named!r}; create it, or name another")
    return [row["rolname"] for row in rows]


async def _give_rights(connection: Connection, runtime: list[str], parts: Mapping[str, list[str]]) -> None:
    """Give rights to the role that services share, and to the roles of each part."""
    if not (parts["gateway"] and parts["status"]):
        raise ConfigurationError(
            f"the database has no roles for the services; create {GATEWAY_ROLE} and {STATUS_ROLE}, or one for both,"
            f" {RUNTIME_ROLE}, or name others"
        )
    await connection.execute("SELECT set_config('exhaust.runtime_role', $1, true)", "".join(runtime))
    for part, roles in parts.items():
        await connection.execute("SELECT set_config($1, $2::text[]::text, true)", f"exhaust.{part}_roles", roles)
    await connection.execute(resources.files("exhaust.postgres.migrations").joinpath("rights.sql").read_text())


def _migrations() -> list[Traversable]:
    folder = resources.files("exhaust.postgres.migrations")
    return sorted((file for file in folder.iterdir() if file.name[:4].isdigit()), key=lambda file: file.name)
