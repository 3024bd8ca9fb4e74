"""The events that do not count, and the code under which each is refused."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from exhaust_contract.commands.example import made_over
from exhaust_contract.documents import refusal_example
from exhaust_contract.refusals import RefusalCode
from exhaust_contract.written_events import read_events

from exhaust.domain.object_keys import attempt_prefix
from exhaust.domain.state_machine import State
from exhaust.errors import ExhaustError
from exhaust.kafka.records import Record, RejectedRecordError
from exhaust.postgres.database import Database
from exhaust.s3.store import open_object_store
from exhaust.settings import S3RawBucketSettings
from schemas.events import Completed, FinishedArchive
from services.status.archive_check import ArchiveCheck
from services.status.claims import RefusedCompletionError
from services.status.completions import claim_in
from services.status.request_reader import RequestReader
from services.status.request_states import RequestStates
from tests.integration.conftest import RequestFactory
from tests.integration.states.conftest import (
    CATALOGUE,
    DAYS,
    DOWNLOAD,
    EXECUTOR,
    SPARK_DATASET,
    Downloads,
    apply_events,
    day_finished,
    failed,
    inbox,
    refusal,
    started,
    view_of,
)
from tests.support.completions import claim
from tests.support.s3_proxy import closed_port

SOMEBODY_ELSE = UUID("11111111-1111-4111-8111-111111111111")


async def test_an_unknown_request_is_refused(states: RequestStates, reader: RequestReader, database: Database) -> None:
    assert await refusal(states, failed(SOMEBODY_ELSE)) == "UNKNOWN_REQUEST"
    assert await inbox(database) == []
    assert await reader.find([SOMEBODY_ELSE]) == {}


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (attempt_prefix(SOMEBODY_ELSE, 1) + "stolen.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("days/eks-consumption-raw/somebody/2026-01-01/stolen.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}../../" + f"{SOMEBODY_ELSE}/attempt-1/stolen.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{attempt_2}other-attempt.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("/{prefix}leading-slash.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}a//b.zip", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}" + "/".join(["a" * 200] * 6), "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}" + "/".join("a" * 300), "ARCHIVE_MISSING"),
        ("{work}eks-consumption-raw_2026-01-01_2026-01-03.zip/inside", "ARCHIVE_MISSING"),
        ("", "ARCHIVE_OUTSIDE_PREFIX"),
        ("{prefix}eks-consumption-raw_2026-01-01_2026-01-03.zip", "ARCHIVE_MISSING"),
        ("{work}other.zip", "ARCHIVE_MISSING"),
        ("{work}outcome.json", "ARCHIVE_DIFFERS"),
    ],
)
async def test_an_archive_that_is_not_the_requests_is_refused_and_undone(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    downloads: Downloads,
    key: str,
    code: str,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = await downloads.write(request_id)
    work = true.archive.key.rpartition("/")[0] + "/"
    prefixes = {"prefix": attempt_prefix(request_id, 1), "attempt_2": attempt_prefix(request_id, 2), "work": work}
    before = await view_of(reader, request_id)
    forged = true.model_copy(update={"archive": true.archive.model_copy(update={"key": key.format(**prefixes)})})
    assert await refusal(states, forged) == code
    assert await inbox(database) == []
    assert await view_of(reader, request_id) == before
    await apply_events(states, true)
    assert (await view_of(reader, request_id)).state is State.COMPLETE


@pytest.mark.parametrize("lie", [{"size": 1}, {"digest": "0" * 64}, {"events": 31}, {"bytes": 1}, {"sha256": None}])
async def test_an_event_that_says_other_things_than_the_outcome_is_refused(
    states: RequestStates, request_factory: RequestFactory, downloads: Downloads, lie: dict[str, Any]
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = await downloads.write(request_id)
    forged = true.model_copy(update={"archive": true.archive.model_copy(update=lie)})
    assert await refusal(states, forged) == "ARCHIVE_DIFFERS"
    assert await refusal(states, true) == ""
    assert await refusal(states, forged) == "ARCHIVE_DIFFERS"


@pytest.mark.parametrize(
    "change", [{"datasetid": "D001"}, {"resourceid": "x"}, {"fromdate": "2026-01-02"}, {"todate": "2026-01-02"}]
)
async def test_an_outcome_of_other_data_is_refused(
    states: RequestStates, request_factory: RequestFactory, downloads: Downloads, change: dict[str, str]
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = await downloads.write(request_id)
    key = true.archive.key.rpartition("/")[0] + "/outcome.json"
    outcome = json.loads(await downloads.objects.get(downloads.bucket, key))
    for wrong in (outcome["request"] | change, outcome["request"] | {"tags": []}):
        data = json.dumps(outcome | {"request": wrong}).encode()
        await downloads.objects.put(downloads.bucket, key, data)
        assert await refusal(states, true) == "ARCHIVE_DIFFERS"
    for junk in (b"", b"{}", b"PK"):
        await downloads.objects.put(downloads.bucket, key, junk)
        assert await refusal(states, true) == "ARCHIVE_DIFFERS"
    # The archive of the outcome must be the one that lies there.
    await downloads.objects.put(downloads.bucket, key, json.dumps(outcome).encode())
    await downloads.objects.put(downloads.bucket, true.archive.key, DOWNLOAD + b"more")
    assert await refusal(states, true) == "ARCHIVE_DIFFERS"


async def test_who_may_not_report_a_request_is_refused(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = await downloads.write(request_id)
    for source in ("", "/telemetry-exhaust/gateway", EXECUTOR):
        for event in (true, failed(request_id), started(request_id)):
            assert await refusal(states, event, source) == "NOT_YOURS"
    other_work = started(request_id).model_copy(update={"workid": "0" * 16})
    assert await refusal(states, other_work) == "UNKNOWN_REQUEST"
    for event in (failed(request_id, 2), started(request_id, 2), failed(request_id, 1000)):
        assert await refusal(states, event) == "ATTEMPT_UNKNOWN"
    for event in (failed(request_id, day=DAYS), failed(request_id, day=-1), day_finished(request_id, DAYS)):
        assert await refusal(states, event) == "DAY_OUTSIDE"
    assert (await view_of(reader, request_id)).state is State.SUBMITTED


async def test_a_job_elsewhere_reports_the_requests_of_its_datasets(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    owner_database: Database,
    downloads: Downloads,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET dataset_id = $2 WHERE request_id = $1", request_id, SPARK_DATASET)
    prefix = attempt_prefix(request_id, 1)
    archive = FinishedArchive(key=f"{prefix}part-1.zip", size=len(DOWNLOAD), digest="1" * 64, events=10**9, bytes=10**9)
    event = Completed(requestid=request_id, attempt=1, archive=archive)
    assert await refusal(states, event) == "NOT_YOURS"  # the aggregator's word does not count here
    assert await refusal(states, event, EXECUTOR) == "ARCHIVE_MISSING"
    for name in ("outcome.json", "days/2026-01-01.json", "0123456789abcdef/part-1.zip", "part-1.zip"):
        await downloads.objects.put(downloads.bucket, prefix + name, DOWNLOAD)
        wrong = event.model_copy(update={"archive": archive.model_copy(update={"key": prefix + name, "size": 1})})
        expected = "ARCHIVE_DIFFERS" if name == "part-1.zip" else "ARCHIVE_OUTSIDE_PREFIX"
        assert await refusal(states, wrong, EXECUTOR) == expected
    assert await refusal(states, event, EXECUTOR) == ""
    stored = await downloads.objects.head(downloads.bucket, archive.key)
    now = await view_of(reader, request_id)
    # The store says what it has; what the event says beside that is nobody's to check.
    assert now.outcome == {"key": archive.key, "size": len(DOWNLOAD), "etag": stored.etag}


async def test_the_first_verified_end_stays(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = await downloads.write(request_id)
    await apply_events(states, true)
    first = await view_of(reader, request_id)
    await apply_events(states, failed(request_id), true, started(request_id))
    assert await view_of(reader, request_id) == first


async def test_while_the_store_is_away_an_end_is_neither_believed_nor_refused(
    database: Database,
    reader: RequestReader,
    states: RequestStates,
    request_factory: RequestFactory,
    downloads: Downloads,
    s3_settings: S3RawBucketSettings,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    true = claim(await downloads.write(request_id))
    away = s3_settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{closed_port()}"})
    async with open_object_store(away) as nothing:
        waiting = RequestStates(database, CATALOGUE, ArchiveCheck(nothing, downloads.bucket))
        with pytest.raises(ExhaustError) as refused:
            await waiting.apply(true)
    assert refused.value.retryable
    assert (await view_of(reader, request_id)).state is State.SUBMITTED
    await states.apply(true)
    assert (await view_of(reader, request_id)).state is State.COMPLETE


@pytest.mark.parametrize("code", sorted(set(RefusalCode)))
async def test_the_example_of_every_code_earns_it(
    states: RequestStates,
    request_factory: RequestFactory,
    owner_database: Database,
    downloads: Downloads,
    tmp_path: Path,
    code: RefusalCode,
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET dataset_id = $2 WHERE request_id = $1", request_id, SPARK_DATASET)
    await downloads.objects.put(downloads.bucket, f"{attempt_prefix(request_id, 1)}november.zip", DOWNLOAD)
    shown = refusal_example(code.value)
    source = None if code is RefusalCode.NOT_YOURS else EXECUTOR
    attempt = shown.get("value", {}).get("attempt")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(made_over(shown, str(request_id), attempt, source)))
    [event] = read_events(str(file))
    record = Record("topic", 0, 0, event.key, event.value or b"", event.headers, tombstone=event.value is None)
    with pytest.raises((RejectedRecordError, RefusedCompletionError)) as refused:
        await states.apply(claim_in(record))
    told = refused.value
    assert isinstance(told, RejectedRecordError | RefusedCompletionError)
    assert {"code": told.code, "pointer": told.pointer} == shown["refused"]
