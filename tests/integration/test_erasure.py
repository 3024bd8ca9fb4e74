"""Erasing a client or a user name: what goes, what stays, and a receipt that says so, also after a kill."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from admin.erase import erase_subject
from exhaust.domain.days import DayRange
from exhaust.domain.object_keys import cancelled_key, request_prefix
from exhaust.domain.requests import DatasetRequest, Submitter
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import AuditFilter, find_audit_entries
from exhaust.postgres.cancel_markers import CancelledAttempt, next_markers
from exhaust.postgres.erasure import find_subject
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.requests import Limits, accept_request
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from tests.integration.conftest import PEPPERS, RESOURCE, within
from tests.support.command import Command, use_store

if TYPE_CHECKING:
    from collections.abc import Collection

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings

DAY = date(2026, 11, 1)
LIMITS = Limits(1000, 1000, 10**12)
ACTOR = "operator/tests"
LEFT_OF_CLIENT = """
SELECT (SELECT count(*) FROM data_exhaust_users WHERE client_name = $1 OR license_key_name = $1) AS users,
       (SELECT count(*) FROM audit WHERE detail::text LIKE '%' || $1 || '%') AS audit
"""


@pytest.fixture
def command(
    servers: Stack,
    schema: str,
    s3_settings: S3RawBucketSettings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    use_store(s3_settings, monkeypatch)
    return Command.on_database(within(schema, servers.postgres), capsys, monkeypatch)


class Store:
    """The store, of which the n-th deletion of a prefix is the last thing that a run does."""

    def __init__(self, objects: ObjectStore, fails_at: int) -> None:
        self._objects = objects
        self._fails_at = fails_at
        self.deleted = 0

    async def put(self, bucket: str, key: str, data: bytes) -> None:
        await self._objects.put(bucket, key, data)

    async def delete_prefix(self, bucket: str, prefix: str, *, keep: Collection[str] = ()) -> int:
        count = await self._objects.delete_prefix(bucket, prefix, keep=keep)
        self.deleted += 1
        if self.deleted == self._fails_at:
            raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "killed here")
        return count


async def register(owner: Database, client: str) -> int:
    """A client with a key, a grant and a token subject; its user's id."""
    keys = KeyStore(owner, PEPPERS)
    await keys.register(client, "dashboard")
    await GrantStore(owner).add(Grant(client, "dashboard", RESOURCE), actor=ACTOR)
    await TokenSubjects(owner).bind(TokenSubject("issuer", client), client, "dashboard", actor=ACTOR)
    return (await keys.find_client(client, "dashboard")).user_id


async def submit(owner: Database, objects: ObjectStore, bucket: str, user_id: int, *, username: str = "asha") -> UUID:
    """A request that ended, with a download."""
    request = DatasetRequest(uuid4(), "eks-consumption-raw", RESOURCE, DayRange(DAY, DAY), (uuid4().hex,))
    await accept_request(owner, request, Submitter(user_id, "partner", username), "", LIMITS)
    async with owner.transaction() as connection:
        await connection.execute("DELETE FROM outbox WHERE request_id = $1", request.request_id)
        await connection.execute(
            "UPDATE requests SET state = 'complete', ended_at = now() WHERE request_id = $1", request.request_id
        )
    await objects.put(bucket, f"{request_prefix(request.request_id)}attempt-1/w/download.zip", b"download")
    return request.request_id


async def downloads(objects: ObjectStore, bucket: str) -> set[str]:
    """The requests of which there is anything in the bucket but marks that stop work."""
    kept = [found.key async for found in objects.list(bucket, "requests/")]
    return {key.split("/")[1] for key in kept if not key.endswith("/cancelled")}


async def erase(owner: Database, objects: Any, bucket: str, **whom: str | None) -> dict[str, Any]:
    subject = await find_subject(owner, client=whom.get("client"), username=whom.get("username"))
    return await erase_subject(owner, objects, bucket, subject, actor=ACTOR, batch=1)


@pytest.mark.usefixtures("database")
async def test_a_client_goes_and_another_stays(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    bucket, name, other = s3_settings.s3_exhaust_bucket, f"client-{uuid4().hex}", f"other-{uuid4().hex}"
    user_id, other_id = await register(owner_database, name), await register(owner_database, other)
    mine = [await submit(owner_database, objects, bucket, user_id) for _ in range(3)]
    kept = await submit(owner_database, objects, bucket, other_id)
    before = len(await find_audit_entries(owner_database, AuditFilter()))
    receipt = await erase(owner_database, objects, bucket, client=name)
    assert receipt["erased"] == {
        "license keys revoked": 1,
        "requests": 3,
        "objects": 3,
        "audit entries blanked": 5,  # register, bind, three submits
        "grants": 1,
        "token_subjects": 1,
        "users blanked": 1,
    }
    assert receipt["left"] == {}
    digest = receipt.pop("sha256")
    canonical = json.dumps(receipt, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert [row["request_id"] for row in await owner_database.fetch("SELECT request_id FROM requests")] == [kept]
    present = await downloads(objects, bucket)
    assert str(kept) in present
    assert not present & {str(request_id) for request_id in mine}
    assert not await downloads(objects, bucket) & {str(request_id) for request_id in mine}
    for told, left in ((name, 0), (other, 1)):
        row = await owner_database.fetch_one(LEFT_OF_CLIENT, told)
        assert row is not None
        assert (row["users"], row["audit"] > 0) == (left, bool(left))
    # Who did what stays: no entry went.
    assert len(await find_audit_entries(owner_database, AuditFilter())) >= before
    assert {entry.actor for entry in await find_audit_entries(owner_database, AuditFilter())} >= {f"user/{user_id}"}


@pytest.mark.usefixtures("database")
async def test_a_user_name_goes_whoever_submitted_it(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    bucket, username = s3_settings.s3_exhaust_bucket, f"user-{uuid4().hex}"
    user_id = await register(owner_database, f"client-{uuid4().hex}")
    await submit(owner_database, objects, bucket, user_id, username=username)
    kept = await submit(owner_database, objects, bucket, user_id, username="somebody else")
    receipt = await erase(owner_database, objects, bucket, username=username)
    assert receipt["erased"] == {"requests": 1, "objects": 1, "audit entries blanked": 1}
    assert [row["request_id"] for row in await owner_database.fetch("SELECT request_id FROM requests")] == [kept]
    details = [dict(entry.detail) for entry in await find_audit_entries(owner_database, AuditFilter())]
    assert username not in json.dumps(details)
    assert "somebody else" in json.dumps(details)


@pytest.mark.usefixtures("database")
async def test_a_run_after_a_kill_ends_it_and_its_receipt_tells_of_both(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    bucket, name = s3_settings.s3_exhaust_bucket, f"client-{uuid4().hex}"
    user_id = await register(owner_database, name)
    for _ in range(3):
        await submit(owner_database, objects, bucket, user_id)
    with pytest.raises(ExhaustError, match="killed here"):
        await erase(owner_database, Store(objects, fails_at=2), bucket, client=name)
    assert len(await owner_database.fetch("SELECT FROM requests")) == 2
    receipt = await erase(owner_database, objects, bucket, client=name)
    assert receipt["erased"]["requests"] == 3
    assert await owner_database.fetch("SELECT FROM requests") == []


@pytest.mark.usefixtures("database")
async def test_requests_in_progress_are_cancelled_and_erased_by_a_later_run(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    bucket, name = s3_settings.s3_exhaust_bucket, f"client-{uuid4().hex}"
    user_id = await register(owner_database, name)
    request_id = await submit(owner_database, objects, bucket, user_id)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = 'inprogress', ended_at = NULL")
    receipt = await erase(owner_database, objects, bucket, client=name)
    assert (receipt["left"], receipt["erased"]) == ({"requests": 1}, {})
    rows = await owner_database.fetch("SELECT request_id, state::text FROM requests")
    assert [tuple(row) for row in rows] == [(request_id, "cancelled")]
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET ended_at = now() - interval '3 minutes'")
    receipt = await erase(owner_database, objects, bucket, client=name)
    assert (receipt["left"], receipt["erased"]["requests"]) == ({}, 1)


@pytest.mark.usefixtures("database")
async def test_of_a_failed_request_work_on_the_other_days_is_stopped_before_its_objects_go(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    bucket, name = s3_settings.s3_exhaust_bucket, f"client-{uuid4().hex}"
    lately, long_ago = [
        await submit(owner_database, objects, bucket, user_id) for user_id in [await register(owner_database, name)] * 2
    ]
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = 'failed', attempt = 2")
        await connection.execute(
            "UPDATE requests SET ended_at = now() - interval '8 days' WHERE request_id = $1", long_ago
        )
    receipt = await erase(owner_database, objects, bucket, client=name)
    assert receipt["left"] == {"requests": 1}
    assert await downloads(objects, bucket) & {str(lately), str(long_ago)} == {str(lately)}
    # Workers are told meanwhile, and have ended after some minutes.
    assert await next_markers(owner_database, limit=10) == [CancelledAttempt(lately, 2)]
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET ended_at = now() - interval '3 minutes'")
    assert (await erase(owner_database, objects, bucket, client=name))["left"] == {}
    left = [found.key async for found in objects.list(bucket, request_prefix(lately))]
    # Whoever reads a message of either attempt once more finds that nobody wants it.
    assert left == [cancelled_key(lately, 1), cancelled_key(lately, 2)]
    assert [found.key async for found in objects.list(bucket, request_prefix(long_ago))] == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("of", ["client", "username"])
async def test_a_run_that_was_killed_before_its_receipt_is_ended_by_another(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings, command: Command, of: str
) -> None:
    name, bucket = f"client-{uuid4().hex}", s3_settings.s3_exhaust_bucket
    await submit(owner_database, objects, bucket, await register(owner_database, name), username=name)
    receipt = await erase(owner_database, objects, bucket, **{of: name})
    async with owner_database.transaction() as connection:  # all is committed but the last step
        await connection.execute("DELETE FROM audit WHERE detail ? 'complete'")
    again = json.loads((await command.good("erase", f"--{of}", name)).out)
    assert (again["erased"], again["left"]) == (receipt["erased"], {})
    assert (await command.run("erase", f"--{of}", name)).code == 1


@pytest.mark.usefixtures("database")
async def test_the_command_shows_first_then_erases_and_then_finds_nothing(
    owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings, command: Command
) -> None:
    name = f"client-{uuid4().hex}"
    await submit(owner_database, objects, s3_settings.s3_exhaust_bucket, await register(owner_database, name))
    shown = json.loads((await command.good("erase", "--client", name, "--dry-run")).out)
    assert shown["would be erased"] == {"users": 1, "requests": 1, "open requests": 0, "audit entries": 3}
    assert json.loads((await command.good("erase", "--client", name)).out)["erased"]["requests"] == 1
    assert (await command.run("erase", "--client", name)).code == 1
    assert (await command.run("erase")).code == 2
