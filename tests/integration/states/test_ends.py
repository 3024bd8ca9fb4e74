"""The ends of requests, as metrics and log tell them: each once, when it is committed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from exhaust.domain.state_machine import State
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.request_commands import cancel_request, retry_request
from services.status.archive_check import ArchiveCheck
from services.status.cancel_markers import CancelMarkers
from services.status.request_ends import RequestEnds
from services.status.request_states import RequestStates
from tests.integration.states.conftest import CATALOGUE, DAYS, Downloads, apply_events, failed, started

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Database
    from exhaust.postgres.request_progress import EndedRequest
    from tests.integration.conftest import RequestFactory

DATASET = "eks-consumption-raw"


class Ends:
    """What was told of ends."""

    def __init__(self, database: Database, downloads: Downloads) -> None:
        self.registry = MetricRegistry()
        self.ends = RequestEnds(self.registry, CATALOGUE)
        self.states = RequestStates(database, CATALOGUE, ArchiveCheck(downloads.objects, downloads.bucket), self.note)
        self.told: list[EndedRequest] = []

    def note(self, ended: EndedRequest | None) -> None:
        self.ends.note(ended)
        self.told += [ended] if ended else []

    def counted(self, outcome: str, code: str, dataset: str = DATASET) -> float | None:
        labels = {"dataset": dataset, "outcome": outcome, "code": code}
        return self.registry.get_sample_value("exhaust_requests_ended_total", labels)

    def outcomes(self, request_id: UUID) -> list[tuple[str, str]]:
        return [(end.outcome, end.code) for end in self.told if end.request_id == request_id]


@pytest.fixture
def ends(database: Database, downloads: Downloads) -> Ends:
    return Ends(database, downloads)


async def test_an_end_is_counted_once_however_often_it_is_reported(
    ends: Ends, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    done = await downloads.write(request_id)
    with capture_logs() as logs:
        await apply_events(ends.states, started(request_id), done, done)
        await apply_events(ends.states, failed(request_id))
    assert ends.outcomes(request_id) == [("complete", "")]
    assert (ends.counted("complete", ""), ends.counted("failed", "SOURCE_OBJECT_UNREADABLE")) == (1, 0)
    assert ends.registry.get_sample_value("exhaust_request_seconds_count") == 1
    [line] = [entry for entry in logs if entry["event"] == "request.ended"]
    assert (line["request_id"], line["dataset"], line["outcome"], line["code"]) == (
        str(request_id),
        DATASET,
        "complete",
        "",
    )
    assert 0 <= line["seconds"] < 60


async def test_failures_are_told_by_code_and_a_download_found_after_all_is_another_end(
    ends: Ends, request_factory: RequestFactory, downloads: Downloads
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    await apply_events(ends.states, failed(request_id, code="LIMIT_EXCEEDED", day=1))
    await apply_events(ends.states, failed(request_id, code="INTERNAL_ERROR", day=0))  # is shown, and ends nothing
    await apply_events(ends.states, await downloads.write(request_id))
    assert ends.outcomes(request_id) == [("failed", "LIMIT_EXCEEDED"), ("complete", "")]


async def test_what_the_reaper_gives_up_and_a_job_elsewhere_reports_are_ends(
    ends: Ends, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS, waiting=False)
    reaped = await ends.states.reap(no_progress_after=timedelta(0), max_attempts=1)
    assert reaped.failed == 1
    assert ends.outcomes(request_id) == [("failed", "NO_PROGRESS")]
    other = await request_factory.request(days=DAYS, waiting=False)
    await ends.states.update(other, State.INPROGRESS, None)
    assert ends.outcomes(other) == []
    for _ in range(2):
        await ends.states.update(other, State.FAILED, {"code": "INTERNAL_ERROR", "message": "the job failed"})
    assert ends.outcomes(other) == [("failed", "INTERNAL_ERROR")]


async def test_a_cancel_ends_a_request_and_each_attempt_has_an_end_of_its_own(
    ends: Ends, database: Database, owner_database: Database, downloads: Downloads, request_factory: RequestFactory
) -> None:
    request_id = await request_factory.request(days=DAYS)
    replicas = [CancelMarkers(database, downloads.objects, downloads.bucket, ends.note) for _ in range(2)]
    for _ in range(2):
        await cancel_request(database, request_id, actor="user/7")
        await asyncio.gather(*(replica.write() for replica in replicas))
    assert ends.outcomes(request_id) == [("cancelled", "CANCELLED")]
    await retry_request(database, request_id, actor="user/7")
    await cancel_request(owner_database, request_id, actor="operator/asha", reason="by mistake")
    await replicas[0].write()
    assert ends.counted("cancelled", "CANCELLED") == 2
    [first, second] = ends.told
    assert timedelta() <= first.after <= second.after < timedelta(minutes=1)


async def test_every_outcome_is_there_from_the_start_and_ids_of_no_dataset_become_no_label(ends: Ends) -> None:
    assert ends.counted("failed", "NO_PROGRESS") == 0
    assert ends.counted("complete", "", "spark-summary") == 0
    assert ends.counted("complete", "", "other") == 0
