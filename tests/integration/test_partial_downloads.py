"""The partial download of an attempt whose days are finished or failed: what it holds, and when there is one."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jsonschema_rs
import pytest
from telemetry_exhaust.download_check import check_download

from exhaust.domain.catalogue import Layout
from exhaust.domain.failures import RequestFailure
from exhaust.domain.object_keys import WorkPlace, work_place
from exhaust.errors import FAILURE_SENTENCES, ErrorCode
from exhaust.s3.errors import ObjectMissingError
from schemas.events import PartialOutcome
from services.aggregator.assemble import Assembler
from tests.support.raw_dataset import DAY, RawDataset, event, packed

if TYPE_CHECKING:
    from pathlib import Path

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from schemas.events import DayRequested, FinishedArchive

DAYS = 3
UNREADABLE = RequestFailure(ErrorCode.SOURCE_OBJECT_UNREADABLE)
LIMIT = RequestFailure(ErrorCode.LIMIT_EXCEEDED)


@pytest.fixture
async def dataset(objects: ObjectStore, s3_settings: S3RawBucketSettings) -> RawDataset:
    made = RawDataset.new(objects, s3_settings, Layout.SHARED)
    for number in range(DAYS):
        await made.put(f"{DAY + timedelta(days=number)}-1793491200000.json.gz", packed(event(number), event(7)))
    return made


@pytest.fixture
def days(dataset: RawDataset) -> list[DayRequested]:
    request = uuid4()
    return [dataset.message(day=DAY + timedelta(days=number), days=DAYS, request=request) for number in range(DAYS)]


def place_of(message: DayRequested) -> WorkPlace:
    return work_place(
        message.requestid,
        message.attempt,
        dataset=message.datasetid,
        resource=message.resourceid,
        first=message.fromdate,
        last=message.todate,
        tags=message.tags,
    )


async def finish(dataset: RawDataset, message: DayRequested) -> FinishedArchive | None:
    built = await dataset.build_message(message)
    assembler = Assembler(dataset.objects, dataset.settings.s3_exhaust_bucket)
    await assembler.mark(message, built.summary)
    return await assembler.assemble_if_last(message)


async def fail(dataset: RawDataset, message: DayRequested, failure: RequestFailure = UNREADABLE) -> None:
    assembler = Assembler(dataset.objects, dataset.settings.s3_exhaust_bucket)
    await assembler.mark_failed(message, failure)
    assert await assembler.assemble_if_last(message) is None


async def partial_of(dataset: RawDataset, message: DayRequested) -> PartialOutcome | None:
    bucket = dataset.settings.s3_exhaust_bucket
    try:
        return PartialOutcome.model_validate_json(await dataset.objects.get(bucket, place_of(message).partial_key))
    except ObjectMissingError:
        return None


@pytest.mark.parametrize("order", ["f01", "0f1", "01f"])
async def test_when_the_last_day_settles_the_finished_ones_are_joined(
    dataset: RawDataset, days: list[DayRequested], order: str, tmp_path: Path
) -> None:
    finished = {"0": days[0], "1": days[2]}
    for step in order:
        assert await partial_of(dataset, days[0]) is None
        if step == "f":
            await fail(dataset, days[1])
        else:
            assert await finish(dataset, finished[step]) is None
    partial = await partial_of(dataset, days[0])
    assert partial is not None
    assert partial.missing == (days[1].day,)
    assert partial.archive.key == place_of(days[0]).partial_archive_key([days[1].day])
    data = await dataset.objects.get(dataset.settings.s3_exhaust_bucket, partial.archive.key)
    assert (len(data), partial.archive.events) == (partial.archive.size, 4)
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert outer.testzip() is None
        assert outer.namelist() == [f"{days[0].day}.zip", f"{days[2].day}.zip", "manifest.json"]
        manifest: Any = json.loads(outer.read("manifest.json"))
    schema = json.loads(resources.files("schemas").joinpath("manifest.schema.json").read_text())
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(manifest)
    assert (manifest["partial"], manifest["totals"]["days"], manifest["totals"]["missing"]) == (True, 2, 1)
    assert manifest["days"][1] == {
        "day": str(days[1].day),
        "state": "failed",
        "code": "SOURCE_OBJECT_UNREADABLE",
        "message": FAILURE_SENTENCES[ErrorCode.SOURCE_OBJECT_UNREADABLE],
    }
    path = tmp_path / "partial.zip"
    path.write_bytes(data)
    checked = list(check_download(path))
    assert [(day.events, day.problem, bool(day.missing)) for day in checked] == [
        (2, None, False),
        (0, None, True),
        (2, None, False),
    ]


async def test_without_a_finished_day_or_before_all_are_settled_there_is_none(
    dataset: RawDataset, days: list[DayRequested]
) -> None:
    for message in days:
        await fail(dataset, message)
        assert await partial_of(dataset, days[0]) is None


async def test_a_day_that_is_finished_after_all_counts_for_more_than_its_failure(
    dataset: RawDataset, days: list[DayRequested]
) -> None:
    await fail(dataset, days[0])
    await finish(dataset, days[1])
    await fail(dataset, days[2], LIMIT)
    first = await partial_of(dataset, days[0])
    assert first is not None
    # A message that comes again may find its object repaired.
    assert await finish(dataset, days[0]) is None
    assert await partial_of(dataset, days[0]) == first
    archive = await finish(dataset, days[2])
    assert archive is not None
    assert archive.key == place_of(days[0]).archive_key


async def test_the_first_reason_of_a_day_stays_and_workers_at_once_agree(
    dataset: RawDataset, days: list[DayRequested]
) -> None:
    await finish(dataset, days[0])
    await finish(dataset, days[1])
    await fail(dataset, days[2], LIMIT)
    first = await partial_of(dataset, days[0])
    await asyncio.gather(*(fail(dataset, days[2], UNREADABLE) for _ in range(4)))
    assert first is not None
    assert await partial_of(dataset, days[0]) == first
    data = await dataset.objects.get(dataset.settings.s3_exhaust_bucket, first.archive.key)
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert json.loads(outer.read("manifest.json"))["days"][2]["code"] == "LIMIT_EXCEEDED"
