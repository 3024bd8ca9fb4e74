"""The operators' command on the tables of the tests, and requests that have ended."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from deploy.local.stack import Stack
from exhaust.kafka.producer import Producer
from exhaust.kafka.topic_reader import TopicReader, open_topic_reader
from exhaust.operations.orders import ItemResult, Order
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from tests.integration.conftest import RequestFactory, within
from tests.integration.operations.letters import Letters
from tests.support.command import Command, Done
from tests.support.kafka_cluster import KafkaTestSettings

REASON = "the object was replaced"
ORDER = Order("service/test", REASON)
DRY_RUN = Order("service/test", REASON, dry_run=True)
UNREADABLE = "SOURCE_OBJECT_UNREADABLE"
BROKEN = "raw/2026-01-01-1.json.gz"


@dataclass(frozen=True)
class Operator:
    """Who calls the command, and looks at the tables."""

    command: Command
    owner: Database
    requests: RequestFactory

    async def run(self, *arguments: str) -> Done:
        return await self.command.run(*arguments)

    async def asks(self, *arguments: str) -> Any:
        """What a command that succeeds says as JSON."""
        return json.loads((await self.command.good(*arguments, "--json")).out)

    async def failed(self, *, count: int = 1, code: str = UNREADABLE, broken: str = BROKEN) -> list[UUID]:
        """So many requests that failed by one cause."""
        user_id = await self.requests.user()
        ids = [await self.requests.request(user_id=user_id, waiting=False) for _ in range(count)]
        async with self.owner.transaction() as connection:
            await connection.execute(
                "UPDATE requests SET state = 'failed', ended_at = now(), outcome = $2 WHERE request_id = ANY($1)",
                ids,
                {"code": code, "message": "x", "object": broken},
            )
        return ids

    async def acts(self, action: Action) -> list[tuple[str, str, str]]:
        """Who did it, to what and why, the oldest first."""
        entries = await find_audit_entries(self.owner, AuditFilter(action=action, limit=10_000))
        return [(entry.actor, entry.subject, entry.detail.get("reason", "")) for entry in reversed(entries)]

    async def states(self) -> dict[UUID, tuple[str, int]]:
        rows = await self.owner.fetch("SELECT request_id, state, attempt FROM requests")
        return {row["request_id"]: (row["state"], row["attempt"]) for row in rows}


@pytest.fixture
def operator(
    servers: Stack,
    schema: str,
    request_factory: RequestFactory,
    owner_database: Database,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Operator:
    command = Command.on_database(within(schema, servers.postgres), capsys, monkeypatch)
    return Operator(command, owner_database, request_factory)


def outcomes(results: list[ItemResult]) -> list[tuple[str, bool]]:
    return [(result.item, result.done) for result in results]


@pytest.fixture
async def reader(kafka_settings: KafkaTestSettings) -> AsyncIterator[TopicReader]:
    async with open_topic_reader(kafka_settings) as opened:
        yield opened


@pytest.fixture
async def letters(kafka_settings: KafkaTestSettings, producer: Producer, reader: TopicReader) -> Letters:
    return await Letters.begin(kafka_settings, producer, reader)
