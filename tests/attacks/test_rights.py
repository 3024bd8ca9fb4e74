"""What the roles of the running services may do in the database, tried with their own passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.stack import service_environment
from tests.attacks.callers import new_owner
from tests.attacks.commands import operate
from tests.attacks.processes import FOLDER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.local.stack import Stack
    from tests.attacks.callers import Callers
    from tests.attacks.rows import Rows

ROLES: Final = ("gateway", "status", "console", "operator")
# What a row was born with: no running service has a reason to change it.
BORN: Final = {
    "requests": (
        *("request_id", "user_id", "partner_id", "username", "dataset_id", "resource", "from_date", "to_date"),
        *("tags", "created_at", "synchronous"),
    ),
    "license_keys": ("id", "user_id", "created_at"),
    "data_exhaust_users": ("id", "client_name", "license_key_name", "created_at"),
    "data_exhaust_users_resources": ("id", "user_id", "resource_id", "dataset_id", "created_at"),
    "audit": ("id", "at", "actor", "action", "subject", "detail"),
    "inbox": ("source", "event_id", "received_at"),
    "token_subjects": ("issuer", "subject", "user_id", "created_at"),
    "outbox": ("request_id", "attempt", "created_at"),
    "idempotency_keys": ("user_id", "key", "fingerprint", "created_at"),
    "key_usage": ("user_id", "day"),
    "webhooks": ("webhook_id", "user_id", "created_at"),
    "webhook_deliveries": ("delivery_id", "webhook_id", "event", "request_id", "data", "created_at"),
}
MAY_CHANGE: Final = """
SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = ANY($2)
AND has_column_privilege(current_user, attrelid, attnum, 'UPDATE')
"""
FORBIDDEN: Final = {
    "audit-with-another-time": "INSERT INTO audit (at, actor, action, subject) VALUES ('2000-01-01', 'a', 'b', 'c')",
    "audit-with-another-actor": "INSERT INTO audit (actor, action, subject) VALUES ('somebody else', 'b', 'c')",
    "audit-changed": "UPDATE audit SET actor = 'nobody'",
    "audit-deleted": "DELETE FROM audit",
    "audit-emptied": "TRUNCATE audit",
    "requests-deleted": "DELETE FROM requests",
    "users-deleted": "DELETE FROM data_exhaust_users",
    "keys-deleted": "DELETE FROM license_keys",
    "table-made": "CREATE TABLE mine (id integer)",
    "table-changed": "ALTER TABLE requests ADD COLUMN mine integer",
    "trigger-off": "ALTER TABLE license_keys DISABLE TRIGGER ALL",
    "role-taken": "SET ROLE exhaust_owner",
    "program-run": "COPY audit TO PROGRAM 'cat'",
}
# Of what only the gateway does, the status service has no share.
NOT_FOR_STATUS: Final = {
    "keys-read": "SELECT license_key_hash FROM license_keys",
    "key-made": "INSERT INTO license_keys (user_id, license_key_hash, pepper_version) VALUES (1, 'x', 1)",
    "key-revoked": "UPDATE license_keys SET revoked_at = now()",
    "user-made": "INSERT INTO data_exhaust_users (client_name, license_key_name) VALUES ('x', 'y')",
    "grant-made": "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES (1, 'x')",
    "grant-removed": "DELETE FROM data_exhaust_users_resources",
    "subjects-read": "SELECT * FROM token_subjects",
    "idempotency-keys-read": "SELECT * FROM idempotency_keys",
    "webhook-led-elsewhere": "UPDATE webhooks SET url = 'https://x.example.org/'",
    "webhook-event-made-up": "INSERT INTO webhook_deliveries (webhook_id, event, data) SELECT webhook_id, 'x', '{}'"
    " FROM live_webhooks",
}
NOT_FOR_GATEWAY: Final = {
    "request-completed": "UPDATE requests SET state = 'complete', outcome = '{}'",
    "day-counted": "INSERT INTO request_days (request_id, attempt, day, events, bytes)"
    " SELECT request_id, 1, from_date, 1, 1 FROM requests LIMIT 1",
    "usage-lessened": "UPDATE key_usage SET days_built = 0",
    "usage-forgotten": "DELETE FROM key_usage",
    "webhook-delivery-recorded": "UPDATE webhook_deliveries SET http_status = 200, attempt = 1",
    "inbox-written": "INSERT INTO inbox (source, event_id) VALUES ('x', 'y')",
}
NOT_FOR_CONSOLE: Final = (
    NOT_FOR_STATUS
    | NOT_FOR_GATEWAY
    | {
        "usernames-read": "SELECT username FROM requests",
        "users-read": "SELECT * FROM data_exhaust_users",
        "audit-written-by-function": "SELECT record_audit('operator/x', 'retry', 'request/1', '{}')",
        "outbox-emptied": "DELETE FROM outbox",
        "request-moved": "UPDATE requests SET moved_at = now()",
    }
)
# It starts attempts and cancels them; what else it may not do with a request is tried where requests are.
NOT_FOR_OPERATOR: Final = (
    NOT_FOR_STATUS
    | {name: statement for name, statement in NOT_FOR_GATEWAY.items() if name != "request-completed"}
    | {
        "usernames-read": "SELECT username FROM requests",
        "users-read": "SELECT * FROM data_exhaust_users",
        "audit-read": "SELECT * FROM audit",
        "letter-forged": "UPDATE dead_letters SET topic = 'dataset.days'",
        "letters-forgotten": "DELETE FROM dead_letters",
        "marker-removed": "DELETE FROM cancel_markers",
    }
)
LAG_CHANGED: Final = {
    "history-forged": "INSERT INTO stage_samples (at, stage, messages, done) VALUES (now(), 'plan', 0, 0)",
    "workers-forged": "INSERT INTO worker_beats (worker, at, beat) VALUES ('w', now(), '{}')",
}
OTHERS: Final = {
    "gateway": NOT_FOR_GATEWAY | LAG_CHANGED,
    "status": NOT_FOR_STATUS | LAG_CHANGED,
    "console": NOT_FOR_CONSOLE,
    "operator": NOT_FOR_OPERATOR | LAG_CHANGED,
}


def dsn_of(name: str) -> str:
    """The address with the password of a role; that of operators is the console's second one."""
    if name == "operator":
        return service_environment(FOLDER, "console")["EXHAUST_POSTGRES_OPERATOR_DSN"]
    return service_environment(FOLDER, name)["EXHAUST_POSTGRES_DSN"]


@dataclass(frozen=True, slots=True)
class Role:
    """A connection with the password of one service."""

    name: str
    connection: Any

    async def may(self, statement: str) -> bool:
        """Whether a statement is allowed; whatever it does is undone."""
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            await self.connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            return False
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError):
            return True  # the right was there; only the value was not, or a trigger minded
        finally:
            await transaction.rollback()
        return True


@pytest.fixture(params=ROLES)
async def role(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[Role]:
    assert stack.processes
    name: str = request.param
    connection = await asyncpg.connect(dsn_of(name))
    try:
        yield Role(name, connection)
    finally:
        await connection.close()


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_a_running_service_cannot_do_what_only_the_owner_does(role: Role, name: str) -> None:
    assert not await role.may(FORBIDDEN[name])


@pytest.mark.parametrize("table", BORN)
async def test_a_running_service_cannot_change_what_a_row_was_born_with(role: Role, table: str) -> None:
    found = await role.connection.fetch(MAY_CHANGE, table, list(BORN[table]))
    assert [row["attname"] for row in found] == []


async def test_each_service_is_kept_from_what_only_another_does(role: Role) -> None:
    assert [name for name, statement in OTHERS[role.name].items() if await role.may(statement)] == []


def test_each_service_has_a_role_of_its_own(stack: Stack) -> None:
    assert stack.processes
    dsns = [urlsplit(dsn_of(name)) for name in ROLES]
    owner = urlsplit(stack.postgres)
    assert len({dsn.username for dsn in (*dsns, owner)}) == len(ROLES) + 1
    assert len({dsn.password for dsn in (*dsns, owner)}) == len(ROLES) + 1


async def test_the_audit_names_the_database_user_whatever_the_environment_says(
    callers: Callers, stack: Stack, rows: Rows
) -> None:
    caller, owner = await callers.new(), new_owner()
    names = ("--client", caller.name, "--key-name", "main", "--channel", owner)
    ran = await operate(stack, "grant", *names, LOGNAME="the-director", USER="the-director")
    assert ran.code == 0, ran.text
    query = "SELECT actor, at > now() - interval '1 minute' AS fresh FROM audit WHERE action = 'grant' ORDER BY id DESC"
    row, database_user = await rows.pool.fetchrow(query), urlsplit(stack.postgres).username or "?"
    assert (database_user in row["actor"], row["fresh"]) == (True, True), row["actor"]
