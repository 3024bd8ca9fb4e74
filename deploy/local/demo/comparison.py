"""The comparison of the downloads with an independent count of the raw files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local.demo.errors import DemoError
from deploy.local.demo.owner import choose_owner
from deploy.local.demo.steps import pluralize
from deploy.local.independent_count import Wanted, compare_download
from deploy.local.raw_files import RawFilesError
from services.aggregator.settings import ChannelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.demo.owner import Owner
    from deploy.local.demo.steps import StepPrinter
    from deploy.local.demo.walkthrough import FinishedRequest
    from deploy.local.independent_count import DayComparison
    from deploy.local.raw_telemetry import RawTelemetry


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of the demo: the owner, the finished requests and every compared day."""

    owner: Owner
    finished: Sequence[FinishedRequest]
    days: Sequence[DayComparison]


def select_owner(telemetry: RawTelemetry, steps: StepPrinter) -> Owner:
    """Choose the owner whose telemetry the demo asks for.

    Raises:
        RawFilesError: If there is no event that belongs to anybody.
    """
    with steps.step("Read it independently and choose whose telemetry to ask for") as step:
        channel = ChannelSettings().default_channel
        owner = choose_owner((source.read() for source in telemetry.objects), channel, telemetry.owners)
        if owner is None:
            raise RawFilesError(f"there is no event to ask for in {telemetry.title}")
        versions = f"telemetry {', '.join(owner.families) or 'of no known version'}"
        events = pluralize(owner.events, "event")
        step.outcome = f"{owner.kind} {owner.identifier}, resource {owner.resource}: {events} of {versions}"
    return owner


def compare_downloads(
    telemetry: RawTelemetry, owner: Owner, finished: Sequence[FinishedRequest], steps: StepPrinter
) -> DemoResult:
    """Compare every day of every download with the independent count of the raw files.

    Raises:
        DemoError: If the downloads are right, but a status told other figures.
    """
    wanted = Wanted(owner.resource, default_channel=ChannelSettings().default_channel)
    days: list[DayComparison] = []
    with steps.step("Compare every day with the independent count") as step:
        for request in finished:
            found = compare_download(request.archive, request.dates.days, telemetry.of_day, wanted)
            _check_status(request, found)
            days += found
        step.outcome = f"{pluralize(len(days), 'day')} compared, line by line"
    return DemoResult(owner, finished, days)


def _check_status(request: FinishedRequest, found: Sequence[DayComparison]) -> None:
    days, events, size = len(found), sum(day.events for day in found), sum(day.bytes for day in found)
    if request.figures != (days, events, size):
        if any(day.difference for day in found):
            return  # the summary names the first line that differs
        raise DemoError(
            f"the download of {request.request_id} holds {_described(days, events, size)};"
            f" its status said {_described(*request.figures)}"
        )


def _described(days: int, events: int, size: int) -> str:
    return f"{pluralize(days, 'day')}, {pluralize(events, 'event')}, {pluralize(size, 'byte')}"
