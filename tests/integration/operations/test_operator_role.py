"""The role of the console's actions carries out every one of them, and can do nothing else.

The servers of the tests have one role for services. In a schema of its own it stands for the role of operators alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import SecretStr

from exhaust.domain.dead_letters import LetterFilter
from exhaust.operations.dead_letter_index import index_dead_letters, show_letter
from exhaust.operations.orders import Order
from exhaust.operations.pausing import pause, paused_partner, resume
from exhaust.operations.redrive import Redrive, plan_redrive
from exhaust.operations.request_actions import cancel_requests, failed_requests, retry_requests
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import TABLES_DIFFER, Database, open_database
from exhaust.postgres.dead_letters import places_of_letters
from exhaust.postgres.migrate import migrate
from exhaust.postgres.pauses import find_pauses
from exhaust.postgres.request_lists import RequestFilter
from tests.integration.conftest import PARTNER, RUNTIME_ROLE, RequestFactory, new_schema, within
from tests.integration.operations.conftest import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from deploy.local.stack import Stack
    from exhaust.kafka.topic_reader import TopicReader
    from tests.integration.operations.letters import Letters

OTHER_ROLE = "pg_monitor"
ASHA = Order("operator/asha", "the object was replaced")
TRIED = Order("operator/asha", "the object was replaced", dry_run=True)

FORBIDDEN: Final = (
    "SELECT username FROM requests",
    "SELECT user_id FROM requests",
    "DELETE FROM requests",
    "INSERT INTO requests (request_id) VALUES (gen_random_uuid())",
    "UPDATE requests SET partner_id = 'x'",
    "UPDATE requests SET resource = 'x'",
    "UPDATE requests SET state = 'complete', outcome = '{}'",
    "UPDATE requests SET state = 'inprogress'",
    "UPDATE requests SET state = 'failed', outcome = '{}'",
    "UPDATE requests SET outcome = '{}'",
    "UPDATE requests SET state = 'submitted', outcome = NULL, attempt = attempt + 2",
    "UPDATE requests SET state = 'cancelled', outcome = '{\"code\": \"INTERNAL_ERROR\"}'",
    "UPDATE requests SET state = 'cancelled', outcome = NULL",
    "ALTER TABLE requests DISABLE TRIGGER refuse_report",
    "UPDATE outbox SET attempt = 7",
    "UPDATE outbox SET traceparent = 'x'",
    "INSERT INTO request_days (request_id, attempt, day, events, bytes) VALUES (gen_random_uuid(), 1, now(), 1, 1)",
    "SELECT * FROM request_days",
    "DELETE FROM cancel_markers",
    "UPDATE pauses SET reason = 'x'",
    "DELETE FROM dead_letters",
    "INSERT INTO dead_letters DEFAULT VALUES",
    "UPDATE dead_letters SET topic = 'x'",
    "UPDATE dead_letters SET digest = 'x'",
    "SELECT * FROM audit",
    "DELETE FROM audit",
    "UPDATE audit SET actor = 'x'",
    "INSERT INTO audit (actor, action, subject, detail) VALUES ('x', 'x', 'x', '{}')",
    "SELECT * FROM license_keys",
    "SELECT * FROM valid_license_keys",
    "UPDATE license_keys SET revoked_at = NULL",
    "SELECT * FROM data_exhaust_users",
    "SELECT * FROM data_exhaust_users_resources",
    "INSERT INTO data_exhaust_users_resources DEFAULT VALUES",
    "DELETE FROM data_exhaust_users_resources",
    "INSERT INTO token_subjects (issuer, subject, user_id) VALUES ('i', 's', 1)",
    "SELECT * FROM idempotency_keys",
    "SELECT * FROM inbox",
    "INSERT INTO inbox (source, event_id) VALUES ('x', 'y')",
    "DELETE FROM stage_samples",
    "DELETE FROM worker_beats",
    "UPDATE key_usage SET days_built = 0",
    "SELECT prune_requests('1 day', 1)",
    "SELECT prune_inbox('1 day', 1)",
    "CREATE TABLE mine (id integer)",
)


@dataclass(frozen=True)
class Opened:
    """A database of its own, as its owner and as the role of operators."""

    owner: Database
    operator: Database

    async def failed(self) -> UUID:
        request_id = await RequestFactory(self.owner).request(waiting=False)
        async with self.owner.transaction() as connection:
            await connection.execute(
                "UPDATE requests SET state = 'failed', ended_at = now(), outcome = $2 WHERE request_id = $1",
                request_id,
                {"code": UNREADABLE, "message": "x", "object": "raw/1"},
            )
        return request_id

    async def acts(self) -> list[tuple[str, str, str]]:
        """Who did what and why, as the audit has it, the oldest first."""
        entries = await find_audit_entries(self.owner, AuditFilter())
        return [(entry.actor, entry.action, entry.detail.get("reason", "")) for entry in reversed(entries)]


async def migrate_as(owner: Database, *, console_role: str = OTHER_ROLE, operator_role: str = OTHER_ROLE) -> None:
    await migrate(
        owner,
        runtime_role=OTHER_ROLE,
        gateway_role=OTHER_ROLE,
        status_role=OTHER_ROLE,
        console_role=console_role,
        operator_role=operator_role,
    )


@pytest.fixture
async def opened(servers: Stack, runtime_dsn: SecretStr, schema: str) -> AsyncIterator[Opened]:
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as owner,
    ):
        await migrate_as(owner, operator_role=RUNTIME_ROLE)
        dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
        async with open_database(dsn, pool_size=8) as operator:
            yield Opened(owner, operator)


def by_asha(action: Action) -> tuple[str, str, str]:
    return f"operator/{RUNTIME_ROLE}/asha", action, ASHA.reason


@pytest.mark.parametrize("dry_run", [True, False])
async def test_it_cancels_and_retries(opened: Opened, *, dry_run: bool) -> None:
    order = TRIED if dry_run else ASHA
    waiting, failed = await RequestFactory(opened.owner).request(), await opened.failed()
    assert [result.done async for result in cancel_requests(opened.operator, [waiting], order)] == [True]
    assert [result.done async for result in retry_requests(opened.operator, [failed], order)] == [True]
    assert await opened.acts() == ([] if dry_run else [by_asha(Action.CANCEL), by_asha(Action.RETRY)])


async def test_it_finds_and_retries_all_of_a_cause(opened: Opened) -> None:
    failed = [await opened.failed() for _ in range(3)]
    found = await failed_requests(opened.operator, RequestFilter(code=UNREADABLE, object="raw/1"))
    assert sorted(found) == sorted(failed)
    assert [result.done async for result in retry_requests(opened.operator, found, ASHA)] == [True] * 3


async def test_it_pauses_and_resumes(opened: Opened) -> None:
    assert (await pause(opened.operator, paused_partner(PARTNER), ASHA)).done
    assert [found.actor for found in await find_pauses(opened.operator)] == [f"operator/{RUNTIME_ROLE}/asha"]
    assert (await resume(opened.operator, paused_partner(PARTNER), ASHA)).done
    assert await opened.acts() == [by_asha(Action.PAUSE), by_asha(Action.RESUME)]


async def test_it_shows_and_redrives_letters(opened: Opened, reader: TopicReader, letters: Letters) -> None:
    await letters.bury(letters.record(1))
    await index_dead_letters(opened.owner, reader)
    places = await places_of_letters(opened.operator, LetterFilter(source=letters.source))
    assert await show_letter(opened.operator, reader, places[0], actor=ASHA.actor, reason=ASHA.reason) is not None
    assert [result.done async for result in plan_redrive(opened.operator, places)] == [True]
    run = Redrive(opened.operator, reader, letters.producer, ASHA)
    assert [result.done async for result in run.run(places)] == [True]
    assert await opened.acts() == [by_asha(Action.SHOW_LETTER), by_asha(Action.REDRIVE)]


async def test_it_may_do_nothing_else(opened: Opened) -> None:
    await opened.failed()
    assert [statement for statement in FORBIDDEN if not await refused(opened.operator, statement)] == []


async def refused(database: Database, statement: str) -> bool:
    """Whether a statement is refused for want of a right; whatever it does is undone."""
    try:
        async with database.transaction(dry_run=True) as connection:
            await connection.execute(statement)
    except TABLES_DIFFER as error:
        return re.search(r"permission denied|must be owner", str(error)) is not None
    return False


async def test_the_console_keeps_the_index_and_can_do_no_action(
    servers: Stack, runtime_dsn: SecretStr, schema: str, reader: TopicReader, letters: Letters
) -> None:
    await letters.bury(letters.record(1))
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as owner,
    ):
        await migrate_as(owner, console_role=RUNTIME_ROLE)
        dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
        async with open_database(dsn, pool_size=2) as console:
            assert (await index_dead_letters(console, reader)).added >= 1
            assert (await index_dead_letters(console, reader)).added == 0
            for statement in (
                "UPDATE requests SET state = 'submitted'",
                "DELETE FROM pauses",
                "DELETE FROM outbox",
                "INSERT INTO cancel_markers DEFAULT VALUES",
                "SELECT record_audit('operator/x', 'x', 'x', '{}')",
            ):
                assert await refused(console, statement), statement
