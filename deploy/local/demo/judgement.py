"""The comparison of the downloads with an independent count of the raw files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local.demo.errors import DemoError
from deploy.local.demo.owner import choose_owner
from deploy.local.demo.steps import counted, in_words
from deploy.local.independent_count import Wanted, compare_download
from deploy.local.raw_files import RawFilesError
from services.aggregator.settings import ChannelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.demo.owner import Owner
    from deploy.local.demo.steps import Steps
    from deploy.local.demo.story import Finished
    from deploy.local.independent_count import DayFound
    from deploy.local.raw_telemetry import RawTelemetry


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the demo: the owner, the finished requests and every compared day."""

    owner: Owner
    finished: Sequence[Finished]
    days: Sequence[DayFound]


def owner_of(telemetry: RawTelemetry, steps: Steps) -> Owner:
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
        events = counted(owner.events, "event")
        step.outcome = f"{owner.kind} {owner.identifier}, resource {owner.resource}: {events} of {versions}"
    return owner


def compared(telemetry: RawTelemetry, owner: Owner, finished: Sequence[Finished], steps: Steps) -> Outcome:
    """Compare every day of every download with the independent count of the raw files.

    Raises:
        DemoError: If the downloads are right, but a status told other figures.
    """
    wanted = Wanted(owner.resource, default_channel=ChannelSettings().default_channel)
    days: list[DayFound] = []
    with steps.step("Compare every day with the independent count") as step:
        for request in finished:
            found = compare_download(request.archive, request.window.days, telemetry.of_day, wanted)
            _check_status(request, found)
            days += found
        step.outcome = f"{counted(len(days), 'day')} compared, line by line"
    return Outcome(owner, finished, days)


def _check_status(request: Finished, found: Sequence[DayFound]) -> None:
    days, events, size = len(found), sum(day.events for day in found), sum(day.bytes for day in found)
    status = request.status
    if (status.days_done, status.events, status.bytes) != (days, events, size):
        if any(day.difference for day in found):
            return  # the summary names the first line that differs
        held = f"{counted(days, 'day')}, {counted(events, 'event')}, {counted(size, 'byte')}"
        raise DemoError(f"the download of {request.request_id} holds {held}; its status said {in_words(status)}")
