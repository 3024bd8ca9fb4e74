"""The link to the partial download of a failed request: who gets it, what it opens, and what is not believed."""

import json
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from yarl import URL

from exhaust.domain.object_keys import WorkPlace
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.request_commands import retry_request
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from schemas.events import Failed, Failure, FinishedArchive, PartialOutcome, RequestedWork
from services.status.archive_check import ArchiveCheck
from services.status.change_notifier import ChangeNotifier
from services.status.claims import place_of
from services.status.partial_downloads import ABSENT_FOR, PRESENT_FOR, PartialDownloads
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from tests.integration.conftest import LONG_AGO, RESOURCE
from tests.integration.status.conftest import DAYS, DOWNLOAD, Status, headers, listed
from tests.support.completions import asked, claim

LAST = LONG_AGO + timedelta(days=DAYS - 1)
MISSING = [LONG_AGO + timedelta(days=1)]


class Partials:
    """Writes partial downloads as the aggregator does, or wrongly."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self.objects = objects
        self.bucket = bucket

    def place(self, request_id: UUID) -> WorkPlace:
        return place_of(asked(request_id, RESOURCE, LONG_AGO, LAST), 1)

    async def write(self, request_id: UUID, missing: list[date] = MISSING, **lies: Any) -> None:
        place = self.place(request_id)
        key = place.partial_archive_key(missing)
        archive = FinishedArchive(key=key, size=len(DOWNLOAD), digest="1" * 64, events=3, bytes=30)
        work = RequestedWork(
            datasetid="eks-consumption-raw",
            resourceid=RESOURCE,
            fromdate=LONG_AGO,
            todate=LAST,
            tags=(str(request_id),),
        )
        partial = PartialOutcome(request=work, archive=archive, missing=tuple(missing))
        told = json.loads(partial.to_json())
        for name, lie in lies.items():
            part, _, field = name.rpartition("_")
            (told[part] if part else told)[field] = lie
        await self.objects.put(self.bucket, key, DOWNLOAD)
        await self.objects.put(self.bucket, place.partial_key, json.dumps(told).encode())


@pytest.fixture
def partials(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> Partials:
    return Partials(objects, s3_settings.s3_exhaust_bucket)


@pytest.fixture
async def failed(states: RequestStates, request_id: UUID) -> UUID:
    """A request that has failed."""
    error = Failure(code="LIMIT_EXCEEDED", message="for operators", day=MISSING[0])
    await states.apply(claim(Failed(requestid=request_id, attempt=1, error=error)))
    return request_id


async def test_a_failed_request_whose_other_days_are_there_has_a_signed_and_audited_link(
    status: Status, partials: Partials, failed: UUID, caller: int, owner_database: Database
) -> None:
    await partials.write(failed)
    found = await status.result(failed, caller)
    assert (found["status"], found["error"]["code"]) == ("failed", "LIMIT_EXCEEDED")
    assert found["missingdays"] == ["2026-01-02"]
    assert "downloadurl" not in found
    async with status.session.get(URL(found["partialurl"], encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, DOWNLOAD)
        assert answer.content_disposition is not None
        assert answer.content_disposition.filename == "eks-consumption-raw_2026-01-01_2026-01-03.partial.zip"
    reads = {"request": {"reads": [{"userid": caller, "requestid": str(failed)}]}}
    reply = await status.call("/v2/statuses", json.dumps(reads).encode(), headers=headers(caller))
    assert "partialurl" in reply.body["result"]["answers"][0]["result"]
    (entry,) = (await listed(status, caller)).body["result"]["requests"]
    assert "partialurl" not in entry["tracker"]
    (act,) = await find_audit_entries(owner_database, AuditFilter(action=Action.DOWNLOAD_LINK))
    assert (act.actor, act.subject) == (f"user/{caller}", f"request/{failed}")


@pytest.mark.parametrize(
    "lies",
    [
        {"request_datasetid": "D001"},
        {"request_resourceid": "x"},
        {"request_fromdate": "2026-01-02"},
        {"request_tags": []},
        {"archive_key": "days/eks-consumption-raw/somebody/stolen.zip"},
        {"archive_size": len(DOWNLOAD) + 1},
        {"_missing": []},
        {"_missing": ["2026-01-01"]},
        {"_missing": ["2026-01-01", "2026-01-02", "2026-01-03"]},
        {"_missing": ["2026-01-04"]},
        {"archive": "x"},
    ],
)
async def test_a_partial_download_that_is_not_the_requests_is_not_shown(
    status: Status, partials: Partials, failed: UUID, caller: int, lies: dict[str, Any]
) -> None:
    await partials.write(failed, **lies)
    assert "partialurl" not in await status.result(failed, caller)


async def test_only_a_failed_request_has_one(
    status: Status, database: Database, partials: Partials, states: RequestStates, request_id: UUID, caller: int
) -> None:
    await partials.write(request_id)
    assert "partialurl" not in await status.result(request_id, caller)
    error = Failure(code="LIMIT_EXCEEDED", message="for operators")
    await states.apply(claim(Failed(requestid=request_id, attempt=1, error=error)))
    assert "partialurl" in await status.result(request_id, caller)
    await retry_request(database, request_id, actor="user/1")
    assert "partialurl" not in await status.result(request_id, caller)


async def test_one_that_has_expired_is_not_looked_for(
    status: Status, partials: Partials, owner_database: Database, failed: UUID, caller: int
) -> None:
    await partials.write(failed)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET ended_at = ended_at - interval '7 days'")
    assert "partialurl" not in await status.result(failed, caller)


async def test_what_was_seen_is_remembered_for_a_short_time(
    database: Database, partials: Partials, failed: UUID
) -> None:
    now = 1000.0
    found = PartialDownloads(ArchiveCheck(partials.objects, partials.bucket), lambda: now)
    view = (await RequestReader(database, GrantStore(database), ChangeNotifier()).find([failed]))[failed]
    assert await found.find([view]) == {}
    await partials.write(failed)
    assert await found.find([view]) == {}
    now += ABSENT_FOR.total_seconds()
    seen = await found.find([view])
    assert seen[failed].missing == tuple(MISSING)
    await partials.objects.put(partials.bucket, partials.place(failed).partial_key, b"gone")
    assert await found.find([view]) == seen
    now += PRESENT_FOR.total_seconds()
    assert await found.find([view]) == {}


async def test_while_the_store_is_away_there_is_none_and_nobody_waits(
    database: Database, partials: Partials, away_objects: ObjectStore, failed: UUID
) -> None:
    await partials.write(failed)
    now = 1000.0
    found = PartialDownloads(ArchiveCheck(away_objects, partials.bucket), lambda: now)
    view = (await RequestReader(database, GrantStore(database), ChangeNotifier()).find([failed]))[failed]
    for _ in range(3):
        assert await found.find([view]) == {}
