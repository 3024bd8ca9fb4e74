"""Retry and delete at the gateway: who may, what happens, what stays, and what a second call says."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from exhaust.domain.object_keys import cancelled_key, day_archive_key, request_prefix
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from exhaust.postgres.deleted_requests import KEPT_FOR
from exhaust.postgres.request_commands import cancel_request, delete_request
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from schemas.events import FinishedDay, Progress
from services.status.deletions import Deletions
from services.status.request_states import RequestStates
from tests.integration.conftest import (
    LONG_AGO,
    PARTNER,
    RESOURCE,
    Gateway,
    Reply,
    RequestFactory,
    assert_refused,
    envelope,
)
from tests.integration.status.conftest import DAYS, FinishedDownloads, Status, listed
from tests.support.completions import claim


@dataclass(frozen=True, slots=True)
class Store:
    """The bucket of downloads, and what removes those of deleted requests."""

    objects: ObjectStore
    bucket: str
    deletions: Deletions

    async def keys(self, request_id: UUID) -> set[str]:
        return {found.key async for found in self.objects.list(self.bucket, request_prefix(request_id))}


@pytest.fixture
def store(database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings) -> Store:
    bucket = s3_settings.s3_exhaust_bucket
    return Store(objects, bucket, Deletions(database, objects, bucket))


def late_day(request_id: UUID) -> Progress:
    day = FinishedDay(day=LONG_AGO, state="ok", events=1, bytes=2, unreadable=0, reused=True)
    return Progress(requestid=request_id, attempt=1, daystotal=DAYS, day=day)


async def retried(door: Gateway, request_id: object, key: str = "") -> Reply:
    headers = {"X-API-Key": key or door.license_key}
    return await door.call(f"/v2/datasets/requests/{request_id}/retry", b"", headers=headers)


async def deleted(door: Gateway, request_id: object, key: str = "") -> Reply:
    headers = {"X-API-Key": key or door.license_key}
    return await door.call(f"/v2/datasets/requests/{request_id}", b"", method="DELETE", headers=headers)


async def audited(database: Database, action: Action) -> list[tuple[str, str, Any]]:
    return [
        (act.actor, act.subject, act.detail) for act in await find_audit_entries(database, AuditFilter(action=action))
    ]


async def outbox_of(database: Database, request_id: UUID) -> list[int]:
    return [
        row["attempt"] for row in await database.fetch("SELECT attempt FROM outbox WHERE request_id = $1", request_id)
    ]


async def test_a_retry_starts_the_next_attempt_once_and_says_so_again(
    door: Gateway, failed: UUID, holder: int, database: Database
) -> None:
    replies = await asyncio.gather(*(retried(door, failed) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 202]
    assert {(reply.body["result"]["requestid"], reply.body["result"]["attempt"]) for reply in replies} == {
        (str(failed), 2)
    }
    (started,) = [reply for reply in replies if reply.status == 202]
    assert started.headers["Location"] == f"/v2/datasets/requests/status/{failed}"
    assert int(started.headers["Retry-After"]) > 0
    assert await outbox_of(database, failed) == [2]
    assert await audited(database, Action.RETRY) == [(f"user/{holder}", f"request/{failed}", {"attempt": 2})]


async def test_only_a_failed_request_is_retried(
    door: Gateway, own: UUID, states: RequestStates, downloads: FinishedDownloads, database: Database
) -> None:
    assert_refused(await retried(door, own), 409, "INVALID_DATA_ERROR")
    await states.apply(claim(await downloads.write(own)))
    assert_refused(await retried(door, own), 409, "INVALID_DATA_ERROR")
    assert await outbox_of(database, own) == []


async def test_a_cancelled_request_is_submitted_anew_instead(door: Gateway, own: UUID, database: Database) -> None:
    await cancel_request(database, own, actor="user/1")
    reply = await retried(door, own)
    assert_refused(reply, 409, "INVALID_DATA_ERROR")
    assert "submit it anew" in reply.body["params"]["errmsg"]


async def test_a_retry_keeps_to_the_limits_of_a_submit(
    door: Gateway, failed: UUID, owner_database: Database, holder: int
) -> None:
    most = 200  # open requests of a partner
    row = (await owner_database.fetch("SELECT request_id FROM requests"))[0]
    await owner_database.fetch(
        "INSERT INTO requests SELECT (jsonb_populate_record(r, jsonb_build_object('request_id', gen_random_uuid(),"
        " 'state', 'inprogress', 'tags', ARRAY[n::text]))).* FROM requests r, generate_series(1, $2) n"
        " WHERE request_id = $1",
        *(row["request_id"], most),
    )
    reply = await retried(door, failed)
    assert_refused(reply, 429, "RATE_LIMITED")
    assert f"{most} requests in progress" in reply.body["params"]["errmsg"]
    await owner_database.fetch("UPDATE requests SET state = 'complete' WHERE request_id <> $1", failed)
    await owner_database.fetch("INSERT INTO key_usage VALUES ($1, (now() AT TIME ZONE 'UTC')::date, 10000, 1)", holder)
    reply = await retried(door, failed)
    assert_refused(reply, 429, "RATE_LIMITED")
    assert "quota of days" in reply.body["params"]["errmsg"]


async def test_without_a_grant_nothing_is_retried_or_deleted(
    door: Gateway, failed: UUID, owner_database: Database, database: Database
) -> None:
    await owner_database.fetch("DELETE FROM data_exhaust_users_resources")
    assert_refused(await retried(door, failed), 403, "AUTHORIZATION_FAILED")
    assert_refused(await deleted(door, failed), 403, "AUTHORIZATION_FAILED")
    assert await outbox_of(database, failed) == []


@pytest.mark.parametrize("act", [retried, deleted])
async def test_a_foreign_request_answers_like_an_unknown_one(
    door: Gateway, request_factory: RequestFactory, act: Any
) -> None:
    foreign = await request_factory.request(partner="org.example.else", waiting=False)
    replies = [await act(door, request_id) for request_id in (foreign, uuid4(), "nothing")]
    for reply in replies:
        assert_refused(reply, 404, "INVALID_REQUESTID")
    assert replies[0].body["params"]["errmsg"] == replies[1].body["params"]["errmsg"]
    assert_refused(await act(door, foreign, key="wrong"), 401, "LOGIN_FAILED")


async def test_a_deleted_request_is_gone_for_its_partner_and_from_the_store(
    door: Gateway,
    status: Status,
    complete: UUID,
    holder: int,
    store: Store,
    database: Database,
) -> None:
    day = day_archive_key("eks-consumption-raw", RESOURCE, LONG_AGO, "a" * 64)
    await store.objects.put(store.bucket, day, b"shared")
    assert len((await listed(status, holder)).body["result"]["requests"]) == 1
    reply = await deleted(door, complete)
    assert (reply.status, reply.body["result"]) == (200, {"requestid": str(complete)})
    assert (await listed(status, holder)).body["result"]["requests"] == []
    gone, unknown = await status.of(complete, holder), await status.of(uuid4(), holder)
    assert (gone.status, gone.body["params"]["errmsg"]) == (unknown.status, unknown.body["params"]["errmsg"])
    for act in (deleted, retried):
        assert_refused(await act(door, complete), 404, "INVALID_REQUESTID")
    assert await store.keys(complete)
    assert await store.deletions.sweep()
    assert await store.keys(complete) == set()
    assert await store.objects.get(store.bucket, day) == b"shared"
    row = (f"user/{holder}", f"request/{complete}", {"attempt": 1, "status": "complete"})
    assert await audited(database, Action.DELETE) == [row]


async def test_a_request_in_progress_is_cancelled_first(door: Gateway, own: UUID) -> None:
    reply = await deleted(door, own)
    assert_refused(reply, 409, "INVALID_DATA_ERROR")
    assert "cancel it first" in reply.body["params"]["errmsg"]


async def test_late_events_of_a_deleted_request_are_no_faults_and_what_they_bring_goes_too(
    door: Gateway,
    failed: UUID,
    states: RequestStates,
    store: Store,
    database: Database,
    owner_database: Database,
) -> None:
    assert (await deleted(door, failed)).status == 200
    assert await store.deletions.sweep()
    markers = await database.fetch("SELECT attempt FROM cancel_markers WHERE request_id = $1", failed)
    assert [row["attempt"] for row in markers] == [1]  # nobody works on its other days any more
    await states.apply(claim(late_day(failed)))
    late, stop = request_prefix(failed) + "attempt-1/late", cancelled_key(failed, 1)
    for key in (late, stop):
        await store.objects.put(store.bucket, key, b"")
    assert await store.deletions.sweep()
    assert await store.keys(failed) == {late, stop}  # it is not yet time again
    past = "UPDATE requests SET deleted_at = deleted_at - $1::interval, sweep_at = now()"
    await owner_database.fetch(past, timedelta(minutes=11))
    assert await store.deletions.sweep()
    assert await store.keys(failed) == {stop}
    await owner_database.fetch(past, KEPT_FOR)
    assert await store.deletions.sweep()
    assert await store.keys(failed) == set()
    assert await database.fetch("SELECT FROM requests") == []


async def test_while_the_store_is_away_a_deletion_waits(
    complete: UUID, database: Database, away_objects: ObjectStore, store: Store
) -> None:
    await delete_request(database, complete, actor="user/1")
    assert not await Deletions(database, away_objects, store.bucket).sweep()
    assert await store.keys(complete)
    assert await store.deletions.sweep()
    assert await store.keys(complete) == set()


async def test_the_same_idempotency_key_makes_a_new_request_after_a_deletion(door: Gateway, database: Database) -> None:
    async def submitted() -> str:
        path, body = (
            f"/v2/datasets/eks-consumption-raw/{RESOURCE}/{LONG_AGO}/{LONG_AGO}",
            {
                "licenseKey": door.license_key,
                "partnerid": PARTNER,
                "username": "somebody",
            },
        )
        reply = await door.call(path, envelope(body), headers={"Idempotency-Key": "one-intent"})
        return reply.requestid

    first = await submitted()
    assert await submitted() == first
    await cancel_request(database, UUID(first), actor="user/1")
    assert (await deleted(door, first)).status == 200
    assert await submitted() != first
