"""The assembling of downloads on a real S3, by several workers at once and by messages that come again."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import zipfile
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jsonschema_rs
import pytest

from exhaust.domain.catalogue import Layout
from exhaust.domain.object_keys import attempt_prefix, work_id
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.errors import ObjectMissingError
from services.aggregator.assemble import Assembler
from tests.support.raw_dataset import DAY, MINE, RawDataset, event, packed

if TYPE_CHECKING:
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from schemas.events import DayRequested, FinishedArchive

DAYS = 3


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    """Three days: two with events, one without any."""
    made = RawDataset.new(objects, s3_settings, Layout.SHARED)
    for number in (0, 2):
        day = DAY + timedelta(days=number)
        lines = [event(line, filler=hashlib.sha256(str(line).encode()).hexdigest()) for line in range(200)]
        await made.put(f"{day}-1793491200000.json.gz", packed(*lines, b"junk\n", event(channel="other")))
        await made.put(f"{day}-1793494800000.json.gz", packed(event(number)))
    return made


@pytest.fixture
def days(dataset: RawDataset) -> list[DayRequested]:
    """The messages of one request."""
    request = uuid4()
    return [dataset.message(day=DAY + timedelta(days=number), days=DAYS, request=request) for number in range(DAYS)]


def prefix_of(message: DayRequested, attempt: int = 1) -> str:
    """Where the aggregator writes what it makes of a request."""
    work = work_id(message.datasetid, message.resourceid, message.fromdate, message.todate, message.tags)
    return f"{attempt_prefix(message.requestid, attempt)}{work}/"


def worker(dataset: RawDataset) -> Assembler:
    return Assembler(dataset.objects, dataset.settings.s3_exhaust_bucket)


async def finish(dataset: RawDataset, message: DayRequested) -> FinishedArchive | None:
    """What a worker does with one message."""
    built = await dataset.build_message(message)
    assembler = worker(dataset)
    await assembler.mark(message, built.summary)
    return await assembler.assemble_if_last(message)


async def download(dataset: RawDataset, archive: FinishedArchive) -> bytes:
    return await dataset.objects.get(dataset.settings.s3_exhaust_bucket, archive.key)


async def keys(dataset: RawDataset, message: DayRequested) -> list[str]:
    prefix = prefix_of(message, message.attempt)
    found = dataset.objects.list(dataset.settings.s3_exhaust_bucket, prefix)
    return [info.key.removeprefix(prefix) async for info in found]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
async def test_only_the_last_day_assembles(
    dataset: RawDataset, days: list[DayRequested], order: tuple[int, int, int]
) -> None:
    for number in order[:-1]:
        assert await finish(dataset, days[number]) is None
    assert [key for key in await keys(dataset, days[0]) if not key.startswith(("days/", "records/"))] == []
    archive = await finish(dataset, days[order[-1]])
    assert archive is not None
    assert archive.key == (f"{prefix_of(days[0])}{dataset.dataset.id}_{DAY}_{DAY + timedelta(days=2)}.zip")
    assert len(await keys(dataset, days[0])) == DAYS + 2
    data = await download(dataset, archive)
    assert (archive.size, archive.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert archive.events == 2 * 201


async def test_the_download_holds_the_days_and_a_true_manifest(dataset: RawDataset, days: list[DayRequested]) -> None:
    outcomes = [await finish(dataset, message) for message in days]
    assert outcomes[-1] is not None
    with zipfile.ZipFile(io.BytesIO(await download(dataset, outcomes[-1]))) as outer:
        assert outer.testzip() is None
        names = [f"{message.day}.zip" for message in days]
        assert outer.namelist() == [*names, "manifest.json"]
        assert {info.compress_type for info in outer.infolist()} == {zipfile.ZIP_STORED}
        manifest: Any = json.loads(outer.read("manifest.json"))
        inner = [outer.read(name) for name in names]
    schema = json.loads(resources.files("schemas").joinpath("manifest.schema.json").read_text())
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(manifest)
    assert [day["sha256"] for day in manifest["days"]] == [hashlib.sha256(data).hexdigest() for data in inner]
    assert [day["size"] for day in manifest["days"]] == [len(data) for data in inner]
    assert [day["state"] for day in manifest["days"]] == ["ok", "empty", "ok"]
    assert [day["unreadable"] for day in manifest["days"]] == [1, 0, 1]
    assert manifest["request"] == {
        "datasetid": dataset.dataset.id,
        "resourceid": MINE,
        "fromdate": str(days[0].day),
        "todate": str(days[-1].day),
        "tags": [],
    }
    contents = [contained(data) for data in inner]
    assert [len(content.splitlines()) for content in contents] == [201, 0, 201]
    assert [day["bytes"] for day in manifest["days"]] == [len(content) for content in contents]
    assert manifest["totals"] == {
        "days": DAYS,
        "events": 402,
        "bytes": sum(map(len, contents)),
        "unreadable": 2,
        "duplicates": 2,
    }
    assert (outcomes[-1].events, outcomes[-1].bytes) == (402, manifest["totals"]["bytes"])


def contained(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return b"".join(opened.read(name) for name in opened.namelist())


async def test_two_workers_at_once_give_one_outcome(dataset: RawDataset, days: list[DayRequested]) -> None:
    for message in days:
        built = await dataset.build_message(message)
        await worker(dataset).mark(message, built.summary)
    outcomes = await asyncio.gather(*(worker(dataset).assemble_if_last(message) for message in days * 2))
    first = outcomes[0]
    assert first is not None
    assert outcomes == [first] * len(outcomes)
    assert hashlib.sha256(await download(dataset, first)).hexdigest() == first.sha256
    assert len(await keys(dataset, days[0])) == DAYS + 2


async def test_all_days_at_once_give_at_least_one_outcome(dataset: RawDataset, days: list[DayRequested]) -> None:
    outcomes = await asyncio.gather(*(finish(dataset, message) for message in days))
    told = [outcome for outcome in outcomes if outcome is not None]
    assert told
    assert told == [told[0]] * len(told)


async def test_a_repeated_message_finds_the_outcome(dataset: RawDataset, days: list[DayRequested]) -> None:
    archive = [await finish(dataset, message) for message in days][-1]
    assert archive is not None
    sentinel = b"written by the test over the download"
    await dataset.objects.put(dataset.settings.s3_exhaust_bucket, archive.key, sentinel)
    assert [await finish(dataset, message) for message in days] == [archive] * DAYS
    assert await download(dataset, archive) == sentinel


async def test_the_first_marker_of_a_day_stays(dataset: RawDataset, days: list[DayRequested]) -> None:
    before = await dataset.build_message(days[0])
    await worker(dataset).mark(days[0], before.summary)
    await dataset.put(f"{DAY}-1793498400000.json.gz", packed(event(7), event(8)))
    after = await dataset.build_message(days[0])
    assert after.summary.events == before.summary.events + 2
    await worker(dataset).mark(days[0], after.summary)
    outcomes = [await finish(dataset, message) for message in days[1:]]
    assert outcomes[-1] is not None
    assert outcomes[-1].events == 402


async def test_the_same_request_again_gives_the_same_bytes(dataset: RawDataset, days: list[DayRequested]) -> None:
    again = [message.model_copy(update={"requestid": uuid4()}) for message in days]
    again = [message.model_copy(update={"requestid": again[0].requestid}) for message in again]
    first = [await finish(dataset, message) for message in days][-1]
    second = [await finish(dataset, message) for message in again][-1]
    assert first is not None
    assert second is not None
    assert first.key != second.key
    assert await download(dataset, first) == await download(dataset, second)


async def test_attempts_do_not_share_their_days(dataset: RawDataset, days: list[DayRequested]) -> None:
    assert await finish(dataset, days[0]) is None
    assert await finish(dataset, days[1]) is None
    third = days[2].model_copy(update={"attempt": 2})
    assert await finish(dataset, third) is None
    second_attempt = [message.model_copy(update={"attempt": 2}) for message in days[:2]]
    outcomes = [await finish(dataset, message) for message in second_attempt]
    assert outcomes[0] is None
    assert outcomes[1] is not None
    assert outcomes[1].key.startswith(prefix_of(days[0], 2))


@pytest.mark.parametrize(
    "lie",
    [
        {"resourceid": "somebody"},
        {"tags": ("t",)},
        {"todate": DAY + timedelta(days=1)},
        {"fromdate": DAY - timedelta(days=1)},
    ],
)
async def test_work_of_the_same_request_that_asks_for_other_data_does_not_touch_its_download(
    dataset: RawDataset, days: list[DayRequested], lie: dict[str, Any]
) -> None:
    for message in days:
        await finish(dataset, message.model_copy(update=lie))
    archive = [await finish(dataset, message) for message in days][-1]
    assert archive is not None
    assert archive.key.startswith(prefix_of(days[0]))
    assert archive.events == 402
    bucket = dataset.settings.s3_exhaust_bucket
    outcome = json.loads(await dataset.objects.get(bucket, f"{prefix_of(days[0])}outcome.json"))
    assert outcome["request"] == {
        "datasetid": dataset.dataset.id,
        "resourceid": MINE,
        "fromdate": str(DAY),
        "todate": str(DAY + timedelta(days=2)),
        "tags": [],
    }
    assert outcome["archive"]["key"] == archive.key


async def test_a_request_whose_first_days_were_marked_by_the_version_before_finishes_in_its_next_attempt(
    dataset: RawDataset, days: list[DayRequested]
) -> None:
    bucket, old = dataset.settings.s3_exhaust_bucket, attempt_prefix(days[0].requestid, 1)
    for message in days[:2]:
        built = await dataset.build_message(message)
        await dataset.objects.put(bucket, f"{old}days/{message.day}.json", built.summary.to_json())
    assert await finish(dataset, days[2]) is None
    again = [message.model_copy(update={"attempt": 2}) for message in days]
    assert [(await dataset.build_message(message)).reused for message in again] == [True] * DAYS
    archive = [await finish(dataset, message) for message in again][-1]
    assert archive is not None
    assert archive.events == 402


async def test_a_worker_that_died_before_its_outcome_is_repeated(dataset: RawDataset, days: list[DayRequested]) -> None:
    archive = [await finish(dataset, message) for message in days][-1]
    assert archive is not None
    bucket = dataset.settings.s3_exhaust_bucket
    other = [message.model_copy(update={"attempt": 5}) for message in days]
    for message in other:
        built = await dataset.build_message(message)
        await worker(dataset).mark(message, built.summary)
    half = f"{prefix_of(other[0], 5)}{archive.key.rpartition('/')[2]}"
    await dataset.objects.put(bucket, half, b"half a downl")
    with pytest.raises(ObjectMissingError):
        await dataset.objects.get(bucket, f"{prefix_of(other[0], 5)}outcome.json")
    again = await worker(dataset).assemble_if_last(other[1])
    assert again is not None
    assert again.key == half
    assert await download(dataset, again) == await download(dataset, archive)


@pytest.mark.parametrize("megabytes", [0, 6])
async def test_a_day_archive_that_lost_bytes_is_not_joined(
    dataset: RawDataset, days: list[DayRequested], megabytes: int
) -> None:
    noise = os.urandom(megabytes * 512 * 1024).hex()
    filled = [
        event(number, filler=noise[start : start + 4096]) for number, start in enumerate(range(0, len(noise), 4096))
    ]
    await dataset.put(f"{DAY}-1793498400000.json.gz", packed(*filled))
    built = [await dataset.build_message(message) for message in days]
    for message, day in zip(days, built, strict=True):
        await worker(dataset).mark(message, day.summary)
    bucket, key = dataset.settings.s3_exhaust_bucket, built[0].summary.key
    await dataset.objects.put(bucket, key, (await dataset.objects.get(bucket, key))[1:])
    with pytest.raises(ExhaustError, match=key) as raised:
        await worker(dataset).assemble_if_last(days[-1])
    assert raised.value.code is ErrorCode.INTERNAL_ERROR
    assert len(await keys(dataset, days[0])) == DAYS


async def test_a_download_of_many_megabytes_is_whole(dataset: RawDataset, days: list[DayRequested]) -> None:
    noise = hashlib.shake_128(b"noise").hexdigest(5 * 1024 * 1024)
    lines = [
        event(number, filler=noise[start : start + 4096]) for number, start in enumerate(range(0, len(noise), 4096))
    ]
    for number in (0, 1):
        await dataset.put(
            f"{DAY + timedelta(days=number)}-1793498400000.json.gz", gzip.compress(b"".join(lines), 1, mtime=0)
        )
    archive = [await finish(dataset, message) for message in days][-1]
    assert archive is not None
    data = await download(dataset, archive)
    assert len(data) == archive.size > 8 * 1024 * 1024
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert outer.testzip() is None
        assert contained(outer.read(f"{days[1].day}.zip")) == b"".join(lines)


async def test_markers_lie_where_the_listing_of_the_attempt_shows_them(
    dataset: RawDataset, days: list[DayRequested]
) -> None:
    built = await dataset.build_message(days[1])
    await worker(dataset).mark(days[1], built.summary)
    prefix = f"{prefix_of(days[1])}days/"
    found = dataset.objects.list(dataset.settings.s3_exhaust_bucket, prefix)
    assert [info.key async for info in found] == [f"{prefix}{days[1].day}.json"]
