"""The update call: jobs elsewhere report the end of a request."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from yarl import URL

from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from tests.integration.conftest import Reply, assert_refused, envelope
from tests.integration.status.conftest import DOWNLOAD, FinishedDownloads, Status, headers


async def updated(status: Status, request_id: UUID | str, request: dict[str, Any]) -> Reply:
    return await status.call(f"/v2/datasets/requests/update/{request_id}", envelope(request), headers=headers(1))


async def test_an_external_job_completes_a_request(
    status: Status, objects: ObjectStore, s3_settings: S3RawBucketSettings, request_id: UUID, caller: int
) -> None:
    bucket = s3_settings.s3_exhaust_bucket
    key = f"requests/{request_id}/spark/part 1.zip"
    await objects.put(bucket, key, DOWNLOAD)
    await updated(status, request_id, {"status": "inprogress", "downloadurl": "ignored"})
    for url in (f"s3://{bucket}/{key}", f"https://elsewhere.example/{bucket}/{quote(key)}?signature=x", key):
        reply = await updated(status, request_id, {"status": "complete", "downloadurl": url})
        assert reply.status == 200, reply.body
    found = await status.result(request_id, caller)
    assert (found["status"], found["size"]) == ("complete", len(DOWNLOAD))
    async with status.session.get(URL(found["downloadurl"], encoded=True)) as answer:
        assert await answer.read() == DOWNLOAD
    other = f"requests/{request_id}/spark/other.zip"
    await objects.put(bucket, other, b"another")
    assert (await updated(status, request_id, {"status": "complete", "downloadurl": other})).status == 200
    assert (await status.result(request_id, caller))["size"] == len(DOWNLOAD)
    late = await updated(status, request_id, {"status": "failed"})
    assert late.status == 200
    assert (await status.result(request_id, caller))["status"] == "complete"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example/x.zip",
        "requests/00000000-0000-4000-8000-000000000000/x.zip",
        "requests/REQUEST/",
        "requests/REQUEST/../other/x.zip",
        "requests/REQUEST/absent.zip",
        "http://[",
        f"requests/REQUEST/{'a/' * 900}x.zip",
        "requests/REQUEST/\ud800.zip",
        "requests/REQUEST/attempt-1/outcome.json",
        "requests/REQUEST/attempt-1/0123456789abcdef/outcome.json",
        "requests/REQUEST/attempt-1/0123456789abcdef/days/2026-01-01.json",
        "requests/REQUEST/attempt-1/0123456789abcdef/eks-consumption-raw_2026-01-01_2026-01-03.zip",
        "requests/REQUEST/attempt-1/days/2026-01-01.json",
        "requests/REQUEST/attempt-1/%2e%2e/x.zip",
    ],
)
async def test_an_update_may_only_name_an_archive_of_its_own(
    status: Status, objects: ObjectStore, s3_settings: S3RawBucketSettings, request_id: UUID, caller: int, url: str
) -> None:
    url = url.replace("REQUEST", str(request_id))
    if "/attempt-1/" in url and "%" not in url:
        await objects.put(s3_settings.s3_exhaust_bucket, url, b"no archive")
    reply = await updated(status, request_id, {"status": "complete", "downloadurl": url})
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert (await status.result(request_id, caller))["status"] == "inprogress"


async def test_an_update_with_the_aggregators_archive_counts_only_with_a_true_outcome(
    status: Status,
    objects: ObjectStore,
    s3_settings: S3RawBucketSettings,
    downloads: FinishedDownloads,
    request_id: UUID,
    caller: int,
) -> None:
    event = await downloads.write(request_id)
    request = {"status": "complete", "downloadurl": event.archive.key}
    outcome = event.archive.key.rpartition("/")[0] + "/outcome.json"
    true = await objects.get(s3_settings.s3_exhaust_bucket, outcome)
    await objects.put(s3_settings.s3_exhaust_bucket, outcome, true.replace(b'eks-consumption-raw"', b'D001"'))
    assert_refused(await updated(status, request_id, request), 400, "INVALID_DATA_ERROR")
    await objects.put(s3_settings.s3_exhaust_bucket, outcome, true)
    assert (await updated(status, request_id, request)).status == 200
    found = await status.result(request_id, caller)
    assert (found["status"], found["size"], found["events"]) == ("complete", len(DOWNLOAD), 30)


async def test_an_update_moves_no_request_that_has_failed(
    status: Status, downloads: FinishedDownloads, request_id: UUID, caller: int
) -> None:
    event = await downloads.write(request_id)
    assert (await updated(status, request_id, {"status": "failed"})).status == 200
    for request in ({"status": "complete", "downloadurl": event.archive.key}, {"status": "inprogress"}):
        assert (await updated(status, request_id, request)).status == 200
        assert (await status.result(request_id, caller))["status"] == "failed"


async def test_an_update_needs_a_documented_word_and_a_known_request(status: Status, request_id: UUID) -> None:
    for request in ({}, {"status": "done"}, {"status": "submitted"}):
        assert_refused(await updated(status, request_id, request), 400, "INVALID_DATA_ERROR")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert_refused(await updated(status, unknown, {"status": "failed"}), 404, "INVALID_REQUESTID")
    assert_refused(await updated(status, "x", {"status": "failed"}), 404, "INVALID_REQUESTID")
