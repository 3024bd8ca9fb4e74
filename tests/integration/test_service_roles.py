"""The rights of the gateway's and of the status service's role, and the audit that neither can bend.

The servers of the tests have one role for services. In a schema of its own it stands for the gateway's role alone, in
another for the status service's; a role that PostgreSQL brings stands for the other one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.domain.days import DayRange
from exhaust.domain.requests import DatasetRequest, Submitter
from exhaust.domain.state_machine import State, StateVersion
from exhaust.errors import ConfigurationError
from exhaust.postgres import outbox
from exhaust.postgres.audit import Action, AuditEntry, AuditFilter, find_audit_entries, record_action, record_downloads
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.inbox import EventIdentity, record_event
from exhaust.postgres.key_usage import forget_old_usage
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.migrate import migrate
from exhaust.postgres.request_progress import lock_request, lock_stuck_requests, move_request, record_day
from exhaust.postgres.request_views import find_requests
from exhaust.postgres.requests import Acceptance, Limits, accept_request
from tests.integration.conftest import PEPPERS, RESOURCE, RUNTIME_ROLE, new_schema, within
from tests.support.outbox import CLAIM_FOR

OTHER_ROLE = "pg_monitor"
CLIENT = ("client", "dashboard")
DAY = date(2026, 11, 1)


@asynccontextmanager
async def in_new_schema(
    servers: Stack, runtime_dsn: SecretStr, schema: str, *, gateway_role: str, status_role: str
) -> AsyncIterator[tuple[Database, Database]]:
    """Open a fresh database as its owner and as RUNTIME_ROLE, which has one part alone."""
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as owner,
    ):
        await migrate(owner, runtime_role=OTHER_ROLE, gateway_role=gateway_role, status_role=status_role)
        dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
        async with open_database(dsn, pool_size=2) as service:
            yield owner, service


@pytest.fixture(scope="module")
async def as_gateway(servers: Stack, runtime_dsn: SecretStr, schema: str) -> AsyncIterator[tuple[Database, Database]]:
    async with in_new_schema(servers, runtime_dsn, schema, gateway_role=RUNTIME_ROLE, status_role=OTHER_ROLE) as opened:
        yield opened


@pytest.fixture(scope="module")
async def as_status(servers: Stack, runtime_dsn: SecretStr, schema: str) -> AsyncIterator[tuple[Database, Database]]:
    async with in_new_schema(servers, runtime_dsn, schema, gateway_role=OTHER_ROLE, status_role=RUNTIME_ROLE) as opened:
        yield opened


async def file_request(database: Database, user_id: int) -> UUID:
    request = DatasetRequest(uuid4(), "eks-consumption-raw", RESOURCE, DayRange(DAY, DAY), (uuid4().hex,))
    submitter = Submitter(user_id, "partner", "somebody")
    assert await accept_request(database, request, submitter, "", Limits(10, 10, 10)) is Acceptance.ACCEPTED
    return request.request_id


async def refused(database: Database, statement: str) -> None:
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        async with database.transaction() as connection:
            await connection.execute(statement)


async def test_the_gateway_does_its_work_with_its_rights(as_gateway: tuple[Database, Database]) -> None:
    _, gateway = as_gateway
    keys, grants = KeyStore(gateway, PEPPERS), GrantStore(gateway)
    name = uuid4().hex
    license_key = await keys.register(name, "dashboard")
    client = await keys.authenticate(license_key)
    assert client is not None
    grant = Grant(name, "dashboard", RESOURCE)
    await grants.add(grant, actor="service/somebody")
    await grants.add(grant, actor="service/somebody")
    assert await grants.remove(grant, actor="service/somebody") == 1
    await keys.rotate(name, "dashboard", actor="service/somebody")
    request_id = await file_request(gateway, client.user_id)
    entries = await outbox.claim_entries(gateway, max_in_flight_per_partner=10, limit=10, claim_for=CLAIM_FOR)
    assert [entry.request.request_id for entry in entries] == [request_id]
    await outbox.give_back(gateway, entries)
    await outbox.delete_released(gateway, entries)
    assert await keys.revoke(name, "dashboard", actor="service/somebody") == 2


async def test_the_status_service_does_its_work_with_its_rights(as_status: tuple[Database, Database]) -> None:
    owner, status = as_status
    await KeyStore(owner, PEPPERS).register(*CLIENT)
    user = await owner.fetch_one("SELECT id FROM data_exhaust_users")
    assert user is not None
    request_id = await file_request(owner, user["id"])
    async with status.transaction() as connection:
        assert await record_event(connection, EventIdentity("here", "1", b"digest"))
        assert await lock_request(connection, request_id) is not None
        await record_day(connection, request_id, 1, DAY, events=1, size=2, built=True)
        await record_day(connection, request_id, 1, DAY, events=2, size=3, built=False)
        await move_request(connection, request_id, StateVersion(1, State.INPROGRESS), None)
        await outbox.put(connection, request_id, 2, "")
        assert await lock_stuck_requests(connection, timedelta(hours=1)) == []
    hour, pairs = timedelta(hours=1), [(user["id"], request_id)]
    assert await record_downloads(status, Action.DOWNLOAD, pairs, again_after=hour) == 1
    assert await record_downloads(status, Action.DOWNLOAD, pairs, again_after=hour) == 0
    assert await forget_old_usage(status) == 0
    assert list(await find_requests(status, [request_id])) == [request_id]
    assert await GrantStore(status).access_rights([]) == []
    assert not await GrantStore(status).may_read(user["id"], RESOURCE, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE requests SET state = 'complete'",
        "UPDATE requests SET outcome = '{}'",
        "UPDATE requests SET user_id = 1",
        "UPDATE outbox SET attempt = 7",
        "SELECT FROM request_days",
        "SELECT FROM inbox",
        "DELETE FROM key_usage",
        "UPDATE key_usage SET days_built = 0",
        "INSERT INTO token_subjects (issuer, subject, user_id) VALUES ('i', 's', 1)",
        "UPDATE data_exhaust_users SET revoked_at = NULL",
        "UPDATE license_keys SET user_id = 1",
    ],
)
async def test_the_gateway_may_not(as_gateway: tuple[Database, Database], statement: str) -> None:
    await refused(as_gateway[1], statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE requests SET resource = 'mine'",
        "UPDATE requests SET user_id = 1",
        "UPDATE requests SET created_at = now()",
        "INSERT INTO requests (request_id) VALUES (gen_random_uuid())",
        "UPDATE outbox SET attempt = 7",
        "UPDATE request_days SET day = '2026-11-02'",
        "DELETE FROM inbox",
        "UPDATE key_usage SET user_id = 1",
        "SELECT FROM license_keys",
        "SELECT FROM valid_license_keys",
        "SELECT FROM data_exhaust_users",
        "SELECT FROM idempotency_keys",
        "SELECT FROM audit",
        "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES (1, 'mine')",
        "UPDATE data_exhaust_users_resources SET expires_at = NULL",
    ],
)
async def test_the_status_service_may_not(as_status: tuple[Database, Database], statement: str) -> None:
    await refused(as_status[1], statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit (actor, action, subject) VALUES ('public', 'grant', 'user/1')",
        "INSERT INTO audit (at, actor, action, subject) VALUES ('2020-01-01', 'public', 'grant', 'user/1')",
        "UPDATE audit SET detail = '{}'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "ALTER TABLE audit DISABLE TRIGGER stamp_audit",
        "DROP FUNCTION stamp_audit() CASCADE",
        "ALTER FUNCTION record_audit(text, text, text, jsonb) SECURITY INVOKER",
    ],
)
async def test_no_service_writes_the_audit_but_by_the_function(
    as_gateway: tuple[Database, Database], as_status: tuple[Database, Database], statement: str
) -> None:
    for _, service in (as_gateway, as_status):
        await refused(service, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit (at, actor, action, subject) VALUES ('2020-01-01', 'public', 'grant', 'x')",
        "INSERT INTO audit (id, actor, action, subject) OVERRIDING SYSTEM VALUE VALUES (7, 'public', 'grant', 'x')",
        "INSERT INTO audit (actor, action, subject, database_user) VALUES ('public', 'grant', 'x', 'exhaust_owner')",
    ],
)
async def test_a_shared_role_chooses_neither_time_nor_number_nor_role(database: Database, statement: str) -> None:
    await refused(database, statement)


async def newest(database: Database) -> AuditEntry:
    return (await find_audit_entries(database, AuditFilter(limit=1)))[0]


async def test_the_database_says_when_and_which_role(as_gateway: tuple[Database, Database]) -> None:
    owner, gateway = as_gateway
    for database, role in ((gateway, RUNTIME_ROLE), (owner, "exhaust_owner")):
        async with database.transaction() as connection:
            begun = await connection.fetch_one("SELECT now() AS at FROM pg_sleep(0.05)")
            await record_action(connection, actor="operator/asha", action=Action.GRANT, subject="user/1", detail={})
        entry = await newest(owner)
        assert begun is not None
        assert begun["at"] < entry.at <= datetime.now(UTC)
        assert (entry.actor, entry.database_user) == (f"operator/{role}/asha", role)


async def test_a_service_of_the_version_before_is_stamped_alike(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO audit (actor, action, subject, detail)"
            " VALUES ('operator/exhaust_owner/asha', 'grant', 'x', '{}')"
        )
    entry = await newest(database)
    assert (entry.actor, entry.database_user) == (f"operator/{RUNTIME_ROLE}/exhaust_owner/asha", RUNTIME_ROLE)


async def test_a_migration_takes_back_what_an_earlier_one_gave(as_gateway: tuple[Database, Database]) -> None:
    owner, gateway = as_gateway
    async with owner.transaction() as connection:
        await connection.execute(f"GRANT UPDATE ON requests TO {RUNTIME_ROLE}")
        await connection.execute(f"GRANT UPDATE (at) ON audit TO {RUNTIME_ROLE}")
    await migrate(owner, runtime_role=OTHER_ROLE, gateway_role=RUNTIME_ROLE, status_role=OTHER_ROLE)
    await refused(gateway, "UPDATE requests SET state = 'complete'")
    await refused(gateway, "UPDATE audit SET at = now()")


async def test_a_role_that_does_not_exist_is_refused(as_gateway: tuple[Database, Database]) -> None:
    owner, _ = as_gateway
    wrong: tuple[dict[str, Any], ...] = (
        {"runtime_role": "nobody"},
        {"gateway_role": "nobody"},
        {"status_role": "nobody"},
        {"console_role": "nobody"},
        {"operator_role": "nobody"},
    )
    for roles in wrong:
        with pytest.raises(ConfigurationError, match="no role 'nobody'"):
            await migrate(owner, **roles)
