"""Old rows go, young ones and those that are still needed stay. The audit goes into files before."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from admin.prune import prune_audit
from exhaust.errors import ExhaustError
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries, record_action
from exhaust.postgres.retention import PRUNE_LOCK, Prunable, count_prunable, prune_batch
from exhaust.process.health import Health
from services.status.pruner import Pruner
from tests.integration.conftest import within
from tests.support.command import Command, use_store

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.integration.conftest import RequestFactory

WEEK = timedelta(days=7)
OLD, YOUNG = timedelta(days=8), timedelta(days=6)
DEADLINE_S = 30
IDS = {
    "requests": "SELECT request_id FROM requests",
    "request_days": "SELECT request_id FROM request_days",
    "outbox": "SELECT request_id FROM outbox",
    "idempotency_keys": "SELECT request_id FROM idempotency_keys",
}
KEYS_OF = "SELECT key FROM idempotency_keys ORDER BY key"
AGE = {
    Prunable.REQUESTS: "UPDATE requests SET ended_at = now() - $2::interval, state = 'complete' WHERE request_id = $1",
    Prunable.PARKED: "UPDATE requests SET parked_at = now() - $2::interval, parked_reason = 'x' WHERE request_id = $1",
}


@pytest.fixture
def command(
    servers: Stack, schema: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return Command.on_database(within(schema, servers.postgres), capsys, monkeypatch)


async def age(owner: Database, what: Prunable, request_id: UUID, by: timedelta) -> None:
    async with owner.transaction() as connection:
        await connection.execute(AGE[what], request_id, by)


async def request_with_rows(owner: Database, requests: RequestFactory) -> UUID:
    """A request with a finished day, a row in the outbox and an idempotency key."""
    request_id = await requests.request()
    async with owner.transaction() as connection:
        await connection.execute(
            "INSERT INTO request_days (request_id, attempt, day, events, bytes) VALUES ($1, 1, '2026-01-01', 1, 1)",
            request_id,
        )
        await connection.execute(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id)"
            " SELECT user_id, 'k', '', request_id FROM requests WHERE request_id = $1",
            request_id,
        )
    return request_id


async def rows(owner: Database, table: str) -> set[UUID]:
    return {row["request_id"] for row in await owner.fetch(IDS[table])}


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize("what", [Prunable.REQUESTS, Prunable.PARKED])
async def test_old_requests_go_with_all_that_is_theirs(
    database: Database, owner_database: Database, request_factory: RequestFactory, what: Prunable
) -> None:
    old, young, unfinished = [await request_with_rows(owner_database, request_factory) for _ in range(3)]
    await age(owner_database, what, old, OLD)
    await age(owner_database, what, young, YOUNG)
    assert (await count_prunable(owner_database, what, WEEK))[0] == 1
    assert await prune_batch(database, what, WEEK) == 1
    for table in IDS:
        assert await rows(owner_database, table) == {young, unfinished}
    assert await prune_batch(database, what, WEEK) == 0


async def test_an_unfinished_request_stays_whatever_its_row_says(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request()
    async with owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE requests SET ended_at = '-infinity', created_at = '-infinity', moved_at = '-infinity'"
        )
    assert await prune_batch(database, Prunable.REQUESTS, WEEK) == 0
    assert await rows(owner_database, "requests") == {request_id}


async def test_a_parked_request_that_ended_is_kept_as_long_as_any_that_ended(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request()
    await age(owner_database, Prunable.PARKED, request_id, OLD)
    await age(owner_database, Prunable.REQUESTS, request_id, YOUNG)
    assert (await count_prunable(owner_database, Prunable.PARKED, WEEK))[0] == 0
    assert await prune_batch(database, Prunable.PARKED, WEEK) == 0


async def test_no_service_forgets_an_idempotency_key_that_may_still_be_used(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    await request_with_rows(owner_database, request_factory)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE idempotency_keys SET created_at = now() - interval '23 hours'")
    assert await prune_batch(database, Prunable.IDEMPOTENCY_KEYS, timedelta(minutes=5)) == 0


async def test_old_events_and_idempotency_keys_go(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    user_id = await request_factory.user()
    async with owner_database.transaction() as connection:
        for name, by in (("old", OLD), ("young", YOUNG)):
            await connection.execute(
                "INSERT INTO inbox (source, event_id, received_at) VALUES ('s', $1, now() - $2::interval)", name, by
            )
            await connection.execute(
                "INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id, created_at)"
                " VALUES ($1, $2, '', $3, now() - $4::interval)",
                *(user_id, name, uuid4(), by),
            )
    for what in (Prunable.INBOX, Prunable.IDEMPOTENCY_KEYS):
        assert (await count_prunable(owner_database, what, WEEK)) == (1, 2)
        assert await prune_batch(database, what, WEEK) == 1
    assert [row["event_id"] for row in await owner_database.fetch("SELECT event_id FROM inbox")] == ["young"]
    assert [row["key"] for row in await owner_database.fetch(KEYS_OF)] == ["young"]


@pytest.mark.parametrize("what", list(Prunable))
async def test_nothing_younger_than_a_minute_goes_whatever_a_service_asks_for(
    database: Database, owner_database: Database, request_factory: RequestFactory, what: Prunable
) -> None:
    request_id = await request_with_rows(owner_database, request_factory)
    for kind in AGE:
        await age(owner_database, kind, request_id, timedelta(seconds=30))
    async with owner_database.transaction() as connection:
        await connection.execute("INSERT INTO inbox (source, event_id) VALUES ('s', 'e')")
    assert await prune_batch(database, what, timedelta(days=-1)) == 0


async def test_a_batch_has_a_limit_and_leaves_locked_rows_alone(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    oldest, *others = [await request_factory.request() for _ in range(4)]
    for number, request_id in enumerate([oldest, *others]):
        await age(owner_database, Prunable.REQUESTS, request_id, OLD - timedelta(hours=number))
    async with asyncio.timeout(DEADLINE_S), owner_database.transaction() as connection:
        await connection.execute("SELECT FROM requests WHERE request_id = $1 FOR UPDATE", oldest)
        assert await prune_batch(database, Prunable.REQUESTS, WEEK, limit=2) == 2
        assert await prune_batch(database, Prunable.REQUESTS, WEEK, limit=2) == 1
    assert await rows(owner_database, "requests") == {oldest}


async def test_one_process_prunes_at_a_time(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    await age(owner_database, Prunable.REQUESTS, await request_factory.request(), OLD)
    async with owner_database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", PRUNE_LOCK)
        assert await prune_batch(database, Prunable.REQUESTS, WEEK) == 0
    assert await prune_batch(database, Prunable.REQUESTS, WEEK) == 1


async def test_the_pruner_goes_on_until_nothing_old_is_left(database: Database, owner_database: Database) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inbox (source, event_id, received_at)"
            " SELECT 's', n::text, now() - interval '8 days' FROM generate_series(1, 1201) n"
        )
    health, registry = Health(), MetricRegistry()
    running = asyncio.create_task(Pruner(database, {Prunable.INBOX: WEEK}, registry).run(health, timedelta(hours=1)))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if registry.get_sample_value("exhaust_rows_pruned_total", {"what": "inbox"}) == 1201:
                break
            await asyncio.sleep(0.01)
        health.stop.set()
        await running
    assert await owner_database.fetch("SELECT FROM inbox") == []


async def acts(owner: Database, number: int, by: timedelta) -> None:
    """So many entries of the audit, of that age."""
    async with owner.transaction() as connection:
        for count in range(number):
            await record_action(
                connection, actor="public", action=Action.REGISTER, subject=f"user/{count}", detail={"ö": "\n"}
            )
        await connection.execute("UPDATE audit SET at = now() - $1::interval WHERE at > now() - interval '1 hour'", by)


@pytest.mark.usefixtures("database")
async def test_the_audit_is_in_files_before_it_leaves_the_database(owner_database: Database) -> None:
    await acts(owner_database, 5, OLD)
    before = await find_audit_entries(owner_database, AuditFilter())
    await acts(owner_database, 1, YOUNG)
    files: dict[str, bytes] = {}

    async def export(key: str, data: bytes) -> bytes:
        # Whatever was exported before has left the database, and this has not.
        assert len(await find_audit_entries(owner_database, AuditFilter())) == 6 - 2 * len(files)
        files[key] = data
        return data

    assert await prune_audit(owner_database, WEEK, export, batch=2) == 5
    lines = [json.loads(line) for data in files.values() for line in data.decode().splitlines()]
    assert [line["id"] for line in lines] == sorted(entry.number for entry in before)
    assert [(line["subject"], line["detail"]) for line in lines] == [(f"user/{n}", {"ö": "\n"}) for n in range(5)]
    first, last = lines[0]["id"], lines[1]["id"]
    assert next(iter(files)) == f"audit/{first:019}-{last:019}.jsonl"
    assert len(await find_audit_entries(owner_database, AuditFilter())) == 1


@pytest.mark.usefixtures("database")
async def test_entries_stay_when_their_file_holds_something_else(owner_database: Database) -> None:
    await acts(owner_database, 2, OLD)

    async def export(_key: str, data: bytes) -> bytes:
        return data[:-1]

    with pytest.raises(ExhaustError, match="does not hold what was exported"):
        await prune_audit(owner_database, WEEK, export)
    assert len(await find_audit_entries(owner_database, AuditFilter())) == 2


@pytest.mark.usefixtures("database")
async def test_an_export_that_was_killed_is_done_again(
    owner_database: Database, command: Command, tmp_path: Path
) -> None:
    await acts(owner_database, 3, timedelta(days=500))
    before = [entry.number for entry in await find_audit_entries(owner_database, AuditFilter())]
    arguments = ("prune", "--what", "audit", "--audit-folder", str(tmp_path))
    shown = await command.run(*arguments, "--dry-run")
    assert (shown.code, shown.rows[1]) == (0, ["audit", "365 days", "3", "0"])
    assert files_in(tmp_path) == []
    done = await command.run(*arguments)
    assert (done.code, done.rows[1][2:]) == (0, ["3", "0"])
    [file] = files_in(tmp_path)
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == sorted(before)
    # Killed after the file was written: the same entries are there once more.
    async with owner_database.transaction() as connection:
        await connection.execute("ALTER TABLE audit DISABLE TRIGGER stamp_audit")
        for line in file.read_text().splitlines():
            await connection.execute(
                "INSERT INTO audit OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_record(NULL::audit, $1::json)",
                line,
            )
        await connection.execute("ALTER TABLE audit ENABLE TRIGGER stamp_audit")
    assert (await command.run(*arguments)).rows[1][2:] == ["3", "0"]
    assert files_in(tmp_path) == [file]


@pytest.mark.usefixtures("database")
async def test_an_export_that_was_killed_is_done_again_though_entries_were_blanked_since(
    owner_database: Database, command: Command, tmp_path: Path
) -> None:
    await acts(owner_database, 2, timedelta(days=500))
    first, last = sorted(entry.number for entry in await find_audit_entries(owner_database, AuditFilter()))
    written = tmp_path / f"{first:019}-{last:019}.jsonl"
    written.write_text("as it was when the file was written\n")
    done = await command.run("prune", "--what", "audit", "--audit-folder", str(tmp_path))
    assert (done.code, done.rows[1][2:]) == (0, ["2", "0"])
    [file] = [path for path in files_in(tmp_path) if path != written]
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [first, last]
    assert file.name.startswith(f"{first:019}-{last:019}-")


@pytest.mark.usefixtures("database")
async def test_the_audit_goes_into_the_bucket(
    owner_database: Database,
    objects: ObjectStore,
    s3_settings: S3RawBucketSettings,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await acts(owner_database, 2, timedelta(days=500))
    use_store(s3_settings, monkeypatch)
    assert (await command.run("prune", "--what", "audit")).code == 0
    [exported] = [found.key async for found in objects.list(s3_settings.s3_exhaust_bucket, "audit/")]
    data = await objects.get(s3_settings.s3_exhaust_bucket, exported)
    assert [json.loads(line)["action"] for line in data.splitlines()] == ["register"] * 2
    assert await find_audit_entries(owner_database, AuditFilter()) == []


@pytest.mark.usefixtures("database")
async def test_a_dry_run_says_what_a_run_does(
    owner_database: Database, request_factory: RequestFactory, command: Command, tmp_path: Path
) -> None:
    for what, number in ((Prunable.REQUESTS, 2), (Prunable.PARKED, 1)):
        for _ in range(number):
            await age(owner_database, what, await request_factory.request(), timedelta(days=100))
    shown = await command.run("prune", "--dry-run")
    done = await command.run("prune", "--audit-folder", str(tmp_path))
    assert shown.rows[0] == ["what", "kept for", "would be removed", "stays"]
    assert shown.rows[1:] == done.rows[1:]
    assert {row[0]: row[2] for row in done.rows[1:]} == {
        "requests": "2",
        "parked": "1",
        "inbox": "0",
        "idempotency-keys": "0",
        "audit": "0",
    }
    assert await rows(owner_database, "requests") == set()
