import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import orjson
import pytest

from telemetry.generator import GeneratorPlan, RawObject, generate
from telemetry.ownership import is_event, ownership

DEFAULT = "in.default"
DAYS = (date(2026, 11, 1), date(2026, 11, 2), date(2024, 2, 29))
PLAN = GeneratorPlan(seed=5, days=DAYS, channels=3, partners=4, tags=3, events_per_day=1_200, objects_per_day=7)


@pytest.fixture(scope="module", name="objects")
def made_objects() -> list[RawObject]:
    return list(generate(PLAN))


@cache
def events(raw: RawObject) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in gzip.decompress(raw.data).splitlines()]


def numbers(raw: RawObject, key: str) -> list[int]:
    return [int(str(event[key])) for event in events(raw)]


def epoch_ms(raw: RawObject) -> int:
    return int(raw.name.removesuffix(".json.gz").rpartition("-")[2])


def of_day(objects: list[RawObject], day: date) -> Iterator[dict[str, object]]:
    return (event for raw in objects if raw.day == day for event in events(raw))


def test_the_same_plan_makes_the_same_bytes(objects: list[RawObject]) -> None:
    assert list(generate(PLAN)) == objects


def test_the_lines_stay_what_they_are() -> None:
    """Figures and samples that were made from a plan are compared with those of later versions."""
    plan = replace(PLAN, seed=7, days=DAYS[1:], channels=11, partners=9, events_per_day=1_100, objects_per_day=3)
    made = [(raw.name, gzip.decompress(raw.data)) for raw in generate(plan)]
    assert [name for name, _ in made] == [
        "2026-11-02-1793606399999.json.gz",
        "2026-11-02-1793635199999.json.gz",
        "2026-11-02-1793663999999.json.gz",
        "2024-02-29-1709193599999.json.gz",
        "2024-02-29-1709222399999.json.gz",
        "2024-02-29-1709251199999.json.gz",
    ]
    digest = hashlib.sha256(b"".join(lines for _, lines in made)).hexdigest()
    assert digest == "6ae8bd87d8077b7c77aec15312053d4dfb1f05fb5ab67a3206ec9f8ebade289c"


def test_another_seed_makes_other_events(objects: list[RawObject]) -> None:
    others = list(generate(replace(PLAN, seed=6)))
    assert [raw.name for raw in others] == [raw.name for raw in objects]
    assert all(other.data != raw.data for other, raw in zip(others, objects, strict=True))


def test_a_day_depends_on_no_other_day(objects: list[RawObject]) -> None:
    assert list(generate(replace(PLAN, days=DAYS[1:2]))) == [raw for raw in objects if raw.day == DAYS[1]]


def test_nothing_of_the_machine_is_in_the_gzip_header(objects: list[RawObject]) -> None:
    assert {raw.data[:8] for raw in objects} == {b"\x1f\x8b\x08\x00\x00\x00\x00\x00"}


def test_names_are_unique_and_say_when_the_object_was_received(objects: list[RawObject]) -> None:
    assert len({raw.name for raw in objects}) == len(objects) == PLAN.objects_per_day * len(DAYS)
    for raw in objects:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{13}\.json\.gz", raw.name)
        assert raw.name.startswith(raw.day.isoformat())
        assert datetime.fromtimestamp(epoch_ms(raw) / 1000, UTC).date() == raw.day


def test_objects_follow_each_other_as_their_events_were_received(objects: list[RawObject]) -> None:
    for day in DAYS:
        before = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) - 1
        for raw in (raw for raw in objects if raw.day == day):
            received = numbers(raw, "syncts")
            assert received == sorted(received)
            assert before < received[0] <= received[-1] <= epoch_ms(raw)
            before = epoch_ms(raw)


@pytest.mark.parametrize("count", [0, 1, 2, 6, 7, 8, 33, 1_001])
@pytest.mark.parametrize("pieces", [1, 3, 10])
def test_the_number_of_events_is_exact(count: int, pieces: int) -> None:
    plan = replace(PLAN, days=DAYS[:1], events_per_day=count, objects_per_day=pieces)
    sizes = [len(events(raw)) for raw in generate(plan)]
    assert sum(sizes) == count
    assert len(sizes) == pieces
    assert max(sizes) - min(sizes) <= 1


def test_every_line_is_an_event_with_its_own_id(objects: list[RawObject]) -> None:
    every = [event for raw in objects for event in events(raw)]
    assert len(every) == PLAN.events_per_day * len(DAYS)
    assert all(is_event(event) and event["ver"] == "3.0" for event in every)
    assert len({event["mid"] for event in every}) == len(every)


def test_every_channel_partner_and_tag_has_events_each_day(objects: list[RawObject]) -> None:
    for day in DAYS:
        owners = [ownership(event, default_channel=DEFAULT) for event in of_day(objects, day)]
        assert {owner.channel for owner in owners} == {*PLAN.channel_ids, DEFAULT}
        assert {partner for owner in owners for partner in owner.partners} == set(PLAN.partner_ids)
        assert {tag for owner in owners for tag in owner.tags} == set(PLAN.tag_ids)
        assert any(not owner.partners for owner in owners)
        assert any(not owner.tags for owner in owners)


def test_every_object_mixes_channels_as_they_come_in(objects: list[RawObject]) -> None:
    for raw in objects:
        channels = [ownership(event, default_channel=DEFAULT).channel for event in events(raw)]
        changes = sum(one != other for one, other in pairwise(channels))
        assert changes > len(channels) / 2


def test_some_events_are_late_and_none_is_from_the_future(objects: list[RawObject]) -> None:
    for day in DAYS:
        delays = [int(str(event["syncts"])) - int(str(event["ets"])) for event in of_day(objects, day)]
        late = [delay for delay in delays if delay > 86_400_000]
        assert min(delays) >= 0
        assert 0 < len(late) < len(delays) / 2
        assert max(late) <= 32 * 86_400_000


def test_each_session_starts_before_it_ends_and_closes_what_it_opened(objects: list[RawObject]) -> None:
    kinds: Counter[object] = Counter()
    for day in DAYS:
        open_spans: dict[object, list[object]] = {}
        for event in of_day(objects, day):
            context, edata = event["context"], event["edata"]
            assert isinstance(context, dict)
            assert isinstance(edata, dict)
            stack = open_spans.setdefault(context["sid"], [])
            if event["eid"] == "START":
                stack.append(edata["type"])
                kinds[edata["type"]] += 1
            elif event["eid"] == "END":
                assert stack.pop() == edata["type"]
        # A portal's session has no event for its end.
        assert {tuple(stack) for stack in open_spans.values()} == {(), ("session",)}
    assert set(kinds) == {"app", "session", "player", "editor"}


def test_ids_are_unique_and_look_like_real_ones() -> None:
    plan = replace(PLAN, channels=40, partners=40, tags=40)
    assert all(re.fullmatch(r"\d{19}|in\.example\.[a-z]+\d*", channel) for channel in plan.channel_ids)
    assert all(re.fullmatch(r"org\.example\.partner\.[a-z]+\d*", partner) for partner in plan.partner_ids)
    for ids in (plan.channel_ids, plan.partner_ids, plan.tag_ids):
        assert len(set(ids)) == 40


def test_nobody_is_needed() -> None:
    plan = replace(PLAN, channels=0, partners=0, tags=0, days=DAYS[:1], events_per_day=50)
    owners = [ownership(event, default_channel=DEFAULT) for raw in generate(plan) for event in events(raw)]
    assert {owner.channel for owner in owners} == {DEFAULT}
    assert not any(owner.partners or owner.partner_resources or owner.tags for owner in owners)


def test_no_days_make_no_objects() -> None:
    assert list(generate(replace(PLAN, days=()))) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channels": -1}, "negative"),
        ({"events_per_day": -1}, "negative"),
        ({"objects_per_day": 0}, "objects_per_day is 0"),
        ({"objects_per_day": 86_400_001}, "objects_per_day is 86400001"),
        ({"days": (DAYS[0], DAYS[0])}, "each day once"),
    ],
)
def test_an_impossible_plan_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(PLAN, **change)
