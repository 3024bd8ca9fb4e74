"""What is known of days of a resource, and estimates, at the status service's listener."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from exhaust.domain.days import DayRange
from exhaust.domain.object_keys import day_summary_key
from exhaust.postgres.asked_days import find_moving_resources
from exhaust.postgres.database import Database
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from services.aggregator.archive.day_summary import DaySummary
from services.status.day_records import LISTED_FOR, DayRecords
from tests.integration.conftest import LONG_AGO, RESOURCE, Reply, RequestFactory, envelope
from tests.integration.status.conftest import NEVER_LATELY, Status, headers
from tests.unit.aggregator.archive.test_day_summary import SUMMARY

DATASET = "eks-consumption-raw"
TODAY = LONG_AGO + timedelta(days=100)
OTHER = "another-resource"
EMPTY, MISSING = replace(SUMMARY, events=0, bytes=0), replace(SUMMARY, events=0, bytes=0, sources=())


@dataclass(frozen=True, slots=True)
class Archives:
    """Writes summaries as the aggregator does."""

    objects: ObjectStore
    bucket: str
    resource: str

    async def write(self, offset: int, summary: DaySummary, *, mark: str = "aa") -> None:
        day = LONG_AGO + timedelta(days=offset)
        await self.put(offset, replace(summary, day=day, tags=summary.tags or ()).to_json(), mark=mark)

    async def put(self, offset: int, data: bytes, *, mark: str = "aa") -> None:
        key = day_summary_key(DATASET, self.resource, LONG_AGO + timedelta(days=offset), mark)
        await self.objects.put(self.bucket, key, data)


@pytest.fixture
def resource(request: pytest.FixtureRequest) -> str:
    """Of each test another, since all share a bucket."""
    return str(request.node.name).replace("[", "-").rstrip("]")


@pytest.fixture
def built(objects: ObjectStore, s3_settings: S3RawBucketSettings, resource: str) -> Archives:
    return Archives(objects, s3_settings.s3_exhaust_bucket, resource)


async def ask(status: Status, resource: str, first: int, last: int, path: str = "/v2/days", **fields: Any) -> Reply:
    asked = {
        "datasetid": DATASET,
        "resourceid": resource,
        "fromdate": str(LONG_AGO + timedelta(days=first)),
        "todate": str(LONG_AGO + timedelta(days=last)),
        "today": str(TODAY),
    }
    return await status.call(path, envelope(asked | fields), headers=headers(1))


async def states(status: Status, resource: str, first: int, last: int) -> list[str]:
    reply = await ask(status, resource, first, last)
    assert reply.status == 200, reply.body
    return [day["state"] for day in reply.body["result"]["days"]]


async def test_days_are_known_from_their_archives(status: Status, built: Archives, resource: str) -> None:
    for offset, summary in ((0, SUMMARY), (1, SUMMARY), (2, EMPTY), (3, MISSING), (5, SUMMARY)):
        await built.write(offset, summary)
    reply = await ask(status, resource, 1, 4)
    assert reply.body["result"]["days"] == [
        {"date": "2026-01-02", "state": "ready", "events": 3, "bytes": 300, "built": True},
        {"date": "2026-01-03", "state": "empty", "events": 0, "bytes": 0, "built": True},
        {"date": "2026-01-04", "state": "missing", "events": 0, "bytes": 0, "built": True},
        {"date": "2026-01-05", "state": "unknown", "events": None, "bytes": None, "built": False},
    ]


async def test_several_resources_are_told_of_in_the_order_of_the_question(
    status: Status, built: Archives, resource: str, owner_database: Database, request_factory: RequestFactory
) -> None:
    await built.write(0, SUMMARY)
    request_id = await request_factory.request()
    await owner_database.fetch("UPDATE requests SET tags = '{}' WHERE request_id = $1 RETURNING tags", request_id)
    asked = [RESOURCE, resource, OTHER]
    reply = await ask(status, RESOURCE, 0, 0, resourceids=asked)
    assert reply.status == 200, reply.body
    told = reply.body["result"]["resources"]
    assert [one["resource"] for one in told] == asked
    assert [one["days"][0]["state"] for one in told] == ["building", "ready", "unknown"]
    assert (await ask(status, RESOURCE, 0, 0, resourceids=[OTHER] * 21)).status == 400


async def test_an_archive_of_some_tags_says_nothing(status: Status, built: Archives, resource: str) -> None:
    await built.write(0, replace(SUMMARY, tags=("a",)))
    of_version_before = json.loads(SUMMARY.to_json())
    del of_version_before["tags"]
    await built.put(1, json.dumps(of_version_before).encode())
    assert await states(status, resource, 0, 1) == ["unknown", "unknown"]
    await built.write(0, SUMMARY, mark="bb")
    assert await states(status, resource, 0, 1) == ["ready", "unknown"]


async def test_the_newest_archive_counts(status: Status, built: Archives, resource: str) -> None:
    await built.write(0, SUMMARY, mark="zz")
    await built.write(0, replace(SUMMARY, events=1), mark="aa")
    found = (await ask(status, resource, 0, 0)).body["result"]["days"]
    assert found[0]["events"] in {1, 3}  # a store that counts whole seconds may take them for equally new


async def test_a_request_shows_what_it_waits_for(
    status: Status, database: Database, owner_database: Database, request_factory: RequestFactory, caller: int
) -> None:
    request_id = await request_factory.request(user_id=caller, days=3)
    assert await states(status, RESOURCE, 0, 3) == ["unknown"] * 4  # it has a tag
    await owner_database.fetch("UPDATE requests SET tags = '{}' WHERE request_id = $1 RETURNING tags", request_id)
    assert await states(status, RESOURCE, 0, 3) == ["building", "building", "building", "unknown"]
    await database.fetch(
        "INSERT INTO request_days (request_id, attempt, day, events, bytes) VALUES ($1, 1, $2, 1, 1) RETURNING day",
        request_id,
        LONG_AGO + timedelta(days=1),
    )
    assert await states(status, RESOURCE, 0, 3) == ["building", "unknown", "building", "unknown"]


async def test_a_day_whose_request_failed_by_it_is_unreadable(
    status: Status, owner_database: Database, request_factory: RequestFactory, caller: int
) -> None:
    for code, day in (("SOURCE_OBJECT_UNREADABLE", "2026-01-02"), ("SERVICE_UNAVAILABLE", "2026-01-03")):
        request_id = await request_factory.request(user_id=caller, days=3)
        await owner_database.fetch(
            "UPDATE requests SET state = 'failed', ended_at = now(), outcome = $2"
            " WHERE request_id = $1 RETURNING state",
            request_id,
            {"code": code, "day": day},
        )
    assert await states(status, RESOURCE, 0, 2) == ["unknown", "unreadable", "unknown"]


async def test_a_day_that_is_not_over_is_open(status: Status, resource: str) -> None:
    assert await states(status, resource, 99, 101) == ["unknown", "open", "open"]


async def test_each_summary_is_read_once(
    objects: ObjectStore, s3_settings: S3RawBucketSettings, built: Archives, resource: str, status: Status
) -> None:
    for offset in range(62):
        await built.write(offset, SUMMARY)
    assert await states(status, resource, 0, 61) == ["ready"] * 62
    records = DayRecords(objects, s3_settings.s3_exhaust_bucket, NEVER_LATELY, max_remembered=61)
    first = await records.find(DATASET, resource, days(0, 60), moving=False)
    again = await records.find(DATASET, resource, days(0, 60), moving=False)
    assert first == again
    assert all(again[day].record is first[day].record for day in first)  # remembered, not read again
    await records.find(DATASET, resource, days(61, 61), moving=False)
    last = await records.find(DATASET, resource, days(0, 0), moving=False)
    assert last[LONG_AGO].record is not first[LONG_AGO].record  # forgotten for the newest


async def test_a_listing_counts_until_its_resource_moves_or_it_is_old(
    objects: ObjectStore, s3_settings: S3RawBucketSettings, built: Archives, resource: str
) -> None:
    now = 1000.0
    records = DayRecords(objects, s3_settings.s3_exhaust_bucket, lambda: now)
    assert not await records.find(DATASET, resource, days(0, 1), moving=False)
    await built.write(0, SUMMARY)
    assert not await records.find(DATASET, resource, days(0, 1), moving=False)
    assert list(await records.find(DATASET, resource, days(0, 0), moving=False)) == [LONG_AGO]  # another range
    assert list(await records.find(DATASET, resource, days(0, 1), moving=True)) == [LONG_AGO]
    await built.write(1, SUMMARY)
    assert len(await records.find(DATASET, resource, days(0, 1), moving=False)) == 1
    now += LISTED_FOR.total_seconds()
    assert len(await records.find(DATASET, resource, days(0, 1), moving=False)) == 2


async def test_a_resource_moves_while_a_request_is_open_and_a_while_after(
    database: Database, owner_database: Database, request_factory: RequestFactory, caller: int
) -> None:
    async def moving() -> frozenset[str]:
        return await find_moving_resources(database, DATASET, [RESOURCE, OTHER], LISTED_FOR)

    assert await moving() == frozenset()
    await request_factory.request(user_id=caller)
    assert await moving() == {RESOURCE}
    for minutes, expected in ((4, {RESOURCE}), (6, set())):
        await owner_database.fetch(
            "UPDATE requests SET state = 'complete', ended_at = now() - $1::interval RETURNING state",
            timedelta(minutes=minutes),
        )
        assert await moving() == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"todate": "2026-03-04"},
        {"todate": "2025-12-31"},
        {"fromdate": "2026-02-30"},
        {"today": "soon"},
        {"resourceid": "a/b"},
        {"datasetid": ".."},
    ],
)
async def test_what_the_gateway_never_asks_is_refused(status: Status, fields: dict[str, str]) -> None:
    reply = await ask(status, OTHER, 0, 0, **fields)
    assert reply.status == 400, reply.body


async def test_an_estimate_counts_what_is_built(status: Status, built: Archives, resource: str) -> None:
    await built.write(0, SUMMARY)
    await built.write(2, SUMMARY)
    result = (await ask(status, resource, 0, 2, "/v2/estimate")).body["result"]
    assert result["days"] == {"total": 3, "built": 2, "tobuild": 1}
    assert result["bytes"]["least"] <= 3 * SUMMARY.size <= result["bytes"]["most"]
    assert result["seconds"] is None  # no request tells
    tagged = (await ask(status, resource, 0, 2, "/v2/estimate", tagged=True)).body["result"]
    assert (tagged["days"], tagged["bytes"]) == ({"total": 3, "built": 0, "tobuild": 3}, None)


async def test_an_estimate_goes_by_the_latest_requests(
    status: Status, owner_database: Database, request_factory: RequestFactory, caller: int, resource: str
) -> None:
    for _ in range(5):
        request_id = await request_factory.request(user_id=caller, days=2)
        await owner_database.fetch(
            "UPDATE requests SET state = 'complete', released_at = now() - interval '20 seconds', ended_at = now()"
            " WHERE request_id = $1 RETURNING state",
            request_id,
        )
    result = (await ask(status, resource, 0, 3, "/v2/estimate")).body["result"]
    assert result == {
        "days": {"total": 4, "built": 0, "tobuild": 4},
        "seconds": {"least": 13, "most": 305},
        "bytes": None,
    }


def days(first: int, last: int) -> DayRange:
    return DayRange(LONG_AGO + timedelta(days=first), LONG_AGO + timedelta(days=last))
