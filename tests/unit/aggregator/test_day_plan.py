"""The plan of a day: which days share an archive, and which share a scan."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

from exhaust.domain.catalogue import Dataset, Layout
from exhaust.s3.object_info import ObjectInfo
from schemas.events import DayRequested
from services.aggregator.build.day_plan import plan_day
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from services.aggregator.build.day_plan import DayPlan

DAY = date(2026, 11, 1)
MINE, OTHER = "in.channel.mine", "in.channel.other"
SOURCES = [ObjectInfo("raw/2026-11-01-1.json.gz", "aa", 10), ObjectInfo("raw/2026-11-01-2.json.gz", "bb", 20)]
SHARED = Dataset(id="shared", aliases=("D002",), prefix="raw/", layout=Layout.SHARED, retention_days=1)
OWN = [ObjectInfo(f"channel/{MINE}/2026-11-01-1.json.gz", "aa", 10)]
BY_RESOURCE = Dataset(id="by-resource", prefix="channel/", layout=Layout.RESOURCE, retention_days=1)


def plan(
    dataset: Dataset = SHARED,
    *,
    channel: str = MINE,
    tags: tuple[str, ...] = (),
    day: date = DAY,
    sources: list[ObjectInfo] = SOURCES,
    default_channel: str = "in.ekstep",
) -> DayPlan:
    request = DayRequested(
        requestid=uuid4(),
        attempt=1,
        datasetid=(*dataset.aliases, dataset.id)[0],
        resourceid=resource_id(channel),
        owner=channel,
        fromdate=day,
        todate=day,
        tags=tags,
        day=day,
    )
    return plan_day(dataset, request, sources, default_channel=default_channel)


def test_two_requests_for_the_same_day_have_the_same_plan() -> None:
    assert plan() == plan()


def test_keys_name_the_dataset_by_its_own_id_and_differ_by_fingerprint_alone() -> None:
    found, later = plan(), plan(sources=SOURCES[:1])
    place = f"shared/{resource_id(MINE)}/2026-11-01/"
    assert found.archive_key.startswith(f"days/{place}")
    assert found.summary_key.startswith(f"records/{place}")
    assert found.archive_key.removeprefix("days/").removesuffix(".zip") == found.summary_key.removeprefix(
        "records/"
    ).removesuffix(".json")
    assert later.archive_key.startswith(f"days/{place}")
    assert later.archive_key != found.archive_key


def test_in_a_shared_layout_events_are_selected_by_their_owner() -> None:
    selection = plan(tags=("a",)).selection
    assert (selection.resource, selection.owner, selection.tags) == (resource_id(MINE), MINE, ("a",))
    assert not selection.takes_all


def test_in_a_resource_layout_everything_belongs_to_the_resource() -> None:
    selection = plan(BY_RESOURCE).selection
    assert (selection.resource, selection.owner) == (None, None)
    assert selection.takes_all
    assert not plan(BY_RESOURCE, tags=("a",)).selection.takes_all


def test_of_a_folder_that_others_may_share_only_the_resources_own_events_are_selected() -> None:
    shared = ObjectInfo("channel/others/2026-11-01-1.json.gz", "bb", 10)
    mixed = plan(BY_RESOURCE, sources=[*OWN, shared])
    assert mixed.selection_from(OWN[0]) is mixed.selection
    assert mixed.selection.takes_all
    selection = mixed.selection_from(shared)
    assert (selection.resource, selection.owner) == (resource_id(MINE), MINE)


def test_archives_are_shared_exactly_when_all_that_decides_their_bytes_is_equal() -> None:
    kinds = SHARED.model_copy(update={"event_kinds": frozenset({"START"})})
    plans = [
        plan(),
        plan(channel=OTHER),
        plan(tags=("a",)),
        plan(day=date(2026, 11, 2)),
        plan(sources=SOURCES[:1]),
        plan(default_channel="other"),
        plan(kinds),
        plan(BY_RESOURCE),
    ]
    assert len({each.archive_key for each in plans}) == len({each.summary_key for each in plans}) == len(plans)
    assert plan(tags=("b", "a")).archive_key == plan(tags=("a", "b", "a")).archive_key


def test_resources_of_one_shared_day_share_a_scan() -> None:
    assert plan().scan_key == plan(channel=OTHER).scan_key == plan(tags=("a",)).scan_key


def test_days_with_other_objects_do_not_share_a_scan() -> None:
    keys = [plan(), plan(day=date(2026, 11, 2)), plan(sources=SOURCES[:1]), plan(BY_RESOURCE, tags=("a",))]
    assert len({each.scan_key for each in keys}) == len(keys)


def test_an_archive_of_whole_objects_is_scanned_alone() -> None:
    whole = plan(BY_RESOURCE)
    assert whole.scan_key.alone == whole.archive_key
    assert plan(BY_RESOURCE, tags=("a",)).scan_key.alone is None
