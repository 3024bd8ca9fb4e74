"""The download of a request at the gateway: a redirect to a fresh link, who may follow it, and what the audit says."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from yarl import URL

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from exhaust.postgres.request_commands import cancel_request
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from services.status.link_audit import DOWNLOAD_AGAIN_AFTER
from tests.integration.conftest import Gateway, Reply, RequestFactory, assert_refused, envelope
from tests.integration.status.conftest import DOWNLOAD, Status
from tests.integration.status.test_partial_links import Partials


async def followed(door: Gateway, request_id: object, query: str = "", method: str = "GET", key: str = "") -> Reply:
    url = URL(f"{door.base}/v2/datasets/requests/{request_id}/download{query}", encoded=True)
    headers = {"X-API-Key": key or door.license_key}
    async with door.session.request(method, url, headers=headers, allow_redirects=False) as answer:
        return Reply(answer.status, dict(answer.headers), json.loads(await answer.read() or b"null"))


async def audited(database: Database) -> list[tuple[str, str, Any]]:
    acts = await find_audit_entries(database, AuditFilter(action=Action.DOWNLOAD))
    return [(act.actor, act.subject, act.detail) for act in acts]


async def test_a_download_is_sent_on_to_a_fresh_link_and_audited_once(
    door: Gateway, complete: UUID, holder: int, database: Database, owner_database: Database
) -> None:
    replies = await asyncio.gather(*(followed(door, complete) for _ in range(4)))
    for reply in replies:
        assert (reply.status, reply.headers["Cache-Control"]) == (307, "no-store")
        link = URL(reply.headers["Location"], encoded=True)
        async with door.session.get(link, headers={"Range": "bytes=5-9"}) as part:
            assert (part.status, await part.read()) == (206, DOWNLOAD[5:10])
    row = (f"user/{holder}", f"request/{complete}", {"attempt": 1})
    assert await audited(database) == [row]
    again = "UPDATE audited_downloads SET recorded_at = recorded_at - $1::interval"
    await owner_database.fetch(again, DOWNLOAD_AGAIN_AFTER - timedelta(seconds=30))
    await followed(door, complete)
    assert await audited(database) == [row]
    await owner_database.fetch(again, timedelta(seconds=30))
    await asyncio.gather(*(followed(door, complete) for _ in range(4)))
    assert await audited(database) == [row, row]


async def test_head_gives_a_link_for_head_alone_and_is_no_download(
    door: Gateway, complete: UUID, database: Database
) -> None:
    reply = await followed(door, complete, method="HEAD")
    assert reply.status == 307
    link = URL(reply.headers["Location"], encoded=True)
    async with door.session.head(link) as told:
        assert (told.status, told.headers["Content-Length"]) == (200, str(len(DOWNLOAD)))
    async with door.session.get(link) as refused:
        assert refused.status == 403
    assert await audited(database) == []


async def test_a_status_that_shows_a_link_is_no_download(
    status: Status, complete: UUID, holder: int, database: Database
) -> None:
    assert "downloadurl" in await status.result(complete, holder)
    assert await audited(database) == []


async def test_a_request_in_progress_says_so_and_when_to_come_again(door: Gateway, own: UUID) -> None:
    reply = await followed(door, own)
    assert_refused(reply, 409, "NOT_COMPLETE")
    assert "0 of 3 days are done" in reply.body["params"]["errmsg"]
    assert int(reply.headers["Retry-After"]) > 0


async def test_an_expired_download_says_how_to_get_it_again(
    door: Gateway, complete: UUID, owner_database: Database
) -> None:
    await owner_database.fetch("UPDATE requests SET ended_at = ended_at - interval '7 days'")
    reply = await followed(door, complete)
    assert_refused(reply, 410, "EXPIRED")
    assert "submit the request again" in reply.body["params"]["errmsg"]


async def test_the_finished_days_of_a_failed_request(
    door: Gateway,
    failed: UUID,
    objects: ObjectStore,
    s3_settings: S3RawBucketSettings,
    database: Database,
    owner_database: Database,
) -> None:
    refused = await followed(door, failed)
    assert_refused(refused, 409, "REQUEST_FAILED")
    assert "?part=finished" in refused.body["params"]["errmsg"]
    assert "for operators" not in refused.body["params"]["errmsg"]
    await Partials(objects, s3_settings.s3_exhaust_bucket).write(failed)
    reply = await followed(door, failed, "?part=finished")
    assert reply.status == 307
    async with door.session.get(URL(reply.headers["Location"], encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, DOWNLOAD)
    assert [detail for _, _, detail in await audited(database)] == [{"attempt": 1, "part": "finished"}]
    await owner_database.fetch("UPDATE requests SET ended_at = ended_at - interval '7 days'")
    assert_refused(await followed(door, failed, "?part=finished"), 410, "EXPIRED")


async def test_a_failed_request_without_finished_days_has_none(door: Gateway, failed: UUID) -> None:
    assert_refused(await followed(door, failed, "?part=finished"), 409, "REQUEST_FAILED")


async def test_the_finished_days_of_a_complete_request_are_all(door: Gateway, complete: UUID) -> None:
    assert (await followed(door, complete, "?part=finished")).status == 307


async def test_a_cancelled_request_has_no_download(door: Gateway, own: UUID, database: Database) -> None:
    await cancel_request(database, own, actor="user/1")
    reply = await followed(door, own)
    assert_refused(reply, 409, "REQUEST_FAILED")
    assert "cancelled" in reply.body["params"]["errmsg"]


async def test_a_foreign_request_answers_like_an_unknown_one(
    door: Gateway, request_factory: RequestFactory, database: Database
) -> None:
    foreign = await request_factory.request(partner="org.example.else", waiting=False)
    replies = [await followed(door, request_id) for request_id in (foreign, uuid4())]
    for reply in replies:
        assert_refused(reply, 404, "INVALID_REQUESTID")
    assert len({reply.body["params"]["errmsg"] for reply in replies}) == 1
    assert await audited(database) == []


@pytest.mark.parametrize("query", ["?part=all", "?method=HEAD", "?part=finished&part=finished", "?wait=1"])
async def test_other_words_in_the_query_are_refused(door: Gateway, complete: UUID, query: str) -> None:
    assert_refused(await followed(door, complete, query), 400, "INVALID_DATA_ERROR")


async def test_it_needs_a_valid_license_key_in_the_header(door: Gateway, complete: UUID) -> None:
    assert_refused(await followed(door, complete, key="wrong"), 401, "LOGIN_FAILED")
    body = envelope({"licenseKey": door.license_key})
    reply = await door.call(f"/v2/datasets/requests/{complete}/download", body, method="GET")
    assert_refused(reply, 401, "LOGIN_FAILED")
