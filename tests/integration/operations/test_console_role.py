"""The role of the console can carry out every action of operators, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from exhaust.domain.dead_letters import LetterFilter
from exhaust.operations.dead_letter_index import index_dead_letters, show_letter
from exhaust.operations.pausing import pause, paused_partner, resume
from exhaust.operations.redrive import Redrive
from exhaust.operations.request_actions import cancel_requests, retry_requests
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database, open_database
from exhaust.postgres.dead_letters import places_of_letters
from exhaust.postgres.migrate import migrate
from exhaust.postgres.pauses import find_pauses
from exhaust.postgres.request_lists import RequestFilter, count_failure_causes, list_requests
from tests.integration.conftest import PARTNER, RUNTIME_ROLE, RequestFactory, new_schema, within
from tests.integration.operations.conftest import ORDER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.local.stack import Stack
    from exhaust.kafka.topic_reader import TopicReader
    from tests.integration.operations.letters import Letters

OTHER_ROLE = "pg_monitor"


@pytest.fixture
async def opened(servers: Stack, runtime_dsn: SecretStr, schema: str) -> AsyncIterator[tuple[Database, Database]]:
    """A fresh database, as its owner and as the role of the console alone."""
    async with (
        new_schema(servers.postgres) as name,
        open_database(within(name, servers.postgres), pool_size=2) as owner,
    ):
        await migrate(
            owner,
            runtime_role=OTHER_ROLE,
            gateway_role=OTHER_ROLE,
            status_role=OTHER_ROLE,
            console_role=RUNTIME_ROLE,
        )
        dsn = SecretStr(runtime_dsn.get_secret_value().replace(schema, name))
        async with open_database(dsn, pool_size=8) as console:
            yield owner, console


async def test_it_can_do_all_of_them(opened: tuple[Database, Database], reader: TopicReader, letters: Letters) -> None:
    owner, console = opened
    request_id = await RequestFactory(owner).request()
    assert [result.done async for result in cancel_requests(console, [request_id], ORDER)] == [True]
    assert [result.done async for result in retry_requests(console, [request_id], ORDER)] == [True]
    assert [listed.request_id for listed in await list_requests(console, RequestFilter())] == [request_id]
    assert await count_failure_causes(console, limit=10) == []
    assert (await pause(console, paused_partner(PARTNER), ORDER)).done
    assert len(await find_pauses(console)) == 1
    assert (await resume(console, paused_partner(PARTNER), ORDER)).done
    await letters.bury(letters.record(1))
    await index_dead_letters(console, reader)
    places = await places_of_letters(console, LetterFilter(source=letters.source))
    assert await show_letter(console, reader, places[0], actor="service/console") is not None
    run = Redrive(console, reader, letters.producer, ORDER)
    assert [result.done async for result in run.run(places)] == [True]
    entries = await find_audit_entries(console, AuditFilter())
    assert {entry.action for entry in entries} == {
        *(Action.CANCEL, Action.RETRY, Action.PAUSE, Action.RESUME, Action.REDRIVE, Action.SHOW_LETTER)
    }


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT username FROM requests",
        "DELETE FROM requests",
        "UPDATE requests SET partner_id = 'x'",
        "DELETE FROM audit",
        "UPDATE audit SET actor = 'x'",
        "SELECT * FROM license_keys",
        "SELECT * FROM data_exhaust_users",
        "INSERT INTO data_exhaust_users_resources DEFAULT VALUES",
    ],
)
async def test_it_can_do_no_more(opened: tuple[Database, Database], statement: str) -> None:
    _, console = opened
    with pytest.raises(Exception, match="permission denied"):
        await console.fetch(statement)
