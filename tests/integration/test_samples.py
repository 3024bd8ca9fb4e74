"""Real telemetry: every owner and every tag in it, built on a real S3, line by line against another reading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from deploy.local.independent_count import (
    Event,
    Wanted,
    channel_of,
    count_day,
    count_object,
    is_wanted,
    lines_of,
    member_name,
    partners_of,
    resource_of,
    tags_of,
)
from exhaust.catalogue import Layout
from tests.support.raw_dataset import RawDataset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from exhaust.archive.day_record import DayRecord
    from exhaust.objects import Objects
    from exhaust.settings import ObjectSettings

DEFAULT_CHANNEL = "in.ekstep"
FIRST = date(2026, 11, 1)
DAYS = 3
LARGE = 100 * 1024  # a file of more stored bytes gets a day of its own
HUGE = 10_000  # a day of more events is built less often
TAG = "becb887fe82f24c644482eb30041da6d88bd8150"  # in files of 2.0 and of 3.0
READ = ("eid", "ver", "tags", "etags", "channel", "context", "metadata")  # all that says whose an event is


@dataclass(slots=True)
class Sample:
    """One file as a raw object, read once by the independent reading.

    Attributes:
        lines: those with an event, each with the place in `kinds` of what it says of its owners.
        kinds: what events say of their owners, each once.
    """

    name: str
    day: date
    data: bytes
    lines: list[tuple[bytes, int]] = field(default_factory=list)
    kinds: list[Event] = field(default_factory=list)
    unreadable: int = 0

    def read(self) -> None:
        places: dict[str, int] = {}
        for line, event in lines_of(self.data):
            if event is None:
                self.unreadable += 1
                continue
            kind = {key: event[key] for key in READ if key in event}
            place = places.setdefault(json.dumps(kind, sort_keys=True), len(places))
            self.kinds += [kind] * (place == len(self.kinds))
            self.lines.append((line, place))

    def expected(self, wanted: Wanted) -> list[bytes]:
        chosen = [is_wanted(kind, wanted) for kind in self.kinds]
        return [line for line, place in self.lines if chosen[place]]

    def owners(self) -> set[str]:
        channels = {channel_of(kind, DEFAULT_CHANNEL) for kind in self.kinds}
        return channels.union(*map(partners_of, self.kinds))

    def tags(self) -> set[str]:
        return set().union(*map(tags_of, self.kinds))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dataset that holds the samples."""

    dataset: RawDataset
    samples: list[Sample]

    def on(self, day: date) -> list[Sample]:
        return [sample for sample in self.samples if sample.day == day]

    @property
    def days(self) -> list[date]:
        return sorted({sample.day for sample in self.samples})

    def huge(self, day: date) -> bool:
        return sum(len(sample.lines) for sample in self.on(day)) > HUGE

    async def check(self, day: date, owner: str, *tags: str) -> int:
        """Builds a day, compares it with the independent reading, and returns its events."""
        wanted = Wanted(resource_of(owner), tags)
        built = await self.dataset.build(resource=wanted.resource, tags=tags, day=day)
        expected = {sample.name: sample.expected(wanted) for sample in self.on(day)}
        unreadable = {sample.name: sample.unreadable for sample in self.on(day)}
        found = await self.dataset.members(built.record)
        difference = different_lines(found, expected) or different_figures(built.record, expected, unreadable)
        assert difference is None, f"{day}, {owner}, {tags}: {difference}"
        return built.record.events


def different_lines(found: dict[str, bytes], expected: dict[str, list[bytes]]) -> str | None:
    names = [member_name(name) for name in sorted(expected) if expected[name]]
    if list(found) != names:
        return f"members {list(found)}, expected {names}"
    for name in sorted(expected):
        if not expected[name] or found[member_name(name)] == b"".join(expected[name]):
            continue
        pairs = zip_longest(found[member_name(name)].splitlines(keepends=True), expected[name])
        return next(
            f"{name}, line {number}: {is_there!r}, expected {should_be!r}"
            for number, (is_there, should_be) in enumerate(pairs, start=1)
            if is_there != should_be
        )
    return None


def different_figures(record: DayRecord, expected: dict[str, list[bytes]], unreadable: dict[str, int]) -> str | None:
    figures = {
        source.object.rpartition("/")[2]: (source.events, source.bytes, source.unreadable) for source in record.sources
    }
    right = {name: (len(lines), sum(map(len, lines)), unreadable[name]) for name, lines in expected.items()}
    totals = tuple(map(sum, zip(*right.values(), strict=True))) or (0, 0, 0)
    if figures != right:
        return f"figures {figures}, expected {right}"
    if (record.events, record.bytes, record.unreadable) != totals:
        return f"totals {(record.events, record.bytes, record.unreadable)}, expected {totals}"
    return None


def sample_files(folder: Path) -> Iterator[Path]:
    for kind in ("v1v2", "v3"):
        yield from sorted((folder / kind).glob("*.gz"))


@pytest.fixture(scope="module")
async def loaded(samples: Path, objects: Objects, object_settings: ObjectSettings) -> AsyncIterator[Loaded]:
    """Every sample file in the shared layout: large ones on days of their own, the others spread over DAYS."""
    dataset = RawDataset.new(objects, object_settings, Layout.SHARED)
    found: list[Sample] = []
    large = 0
    for number, path in enumerate(sample_files(samples)):
        data = path.read_bytes()
        large += len(data) > LARGE
        day = FIRST + timedelta(days=DAYS - 1 + large if len(data) > LARGE else number % DAYS)
        sample = Sample(f"{day}-{1793491200000 + number}.json.gz", day, data)
        sample.read()
        await dataset.put(sample.name, data)
        found.append(sample)
    assert len(found) >= 20
    yield Loaded(dataset, found)
    for sample in found:
        sample.lines.clear()


def test_the_reading_kept_here_is_the_independent_one(loaded: Loaded) -> None:
    owners = set().union(*(sample.owners() for sample in loaded.samples))
    for sample in loaded.samples:
        for owner in sorted(owners)[:2] if len(sample.lines) < HUGE else []:
            wanted = Wanted(resource_of(owner))
            lines = sample.expected(wanted)
            count = count_object(sample.name, sample.data, wanted)
            assert (count.events, count.bytes, count.unreadable) == (
                len(lines),
                sum(map(len, lines)),
                sample.unreadable,
            )
            assert count.sha256 == hashlib.sha256(b"".join(lines)).hexdigest()


async def test_every_channel_and_partner_gets_its_lines(loaded: Loaded) -> None:
    everybody = set().union(*(sample.owners() for sample in loaded.samples))
    events = 0
    for day in loaded.days:
        there = set().union(*(sample.owners() for sample in loaded.on(day)))
        for owner in [*sorted(there), min(everybody - there)]:
            events += await loaded.check(day, owner)
    assert events >= sum(len(sample.lines) for sample in loaded.samples)  # each has a channel at least
    print(f"\n{len(everybody)} owners, {events} events")


async def test_every_tag_gets_its_lines(loaded: Loaded) -> None:
    events = builds = 0
    for day in loaded.days:
        tags = sorted(set().union(*(sample.tags() for sample in loaded.on(day))))
        owners = sorted(set().union(*(sample.owners() for sample in loaded.on(day))))
        huge = loaded.huge(day)
        step = 2 if huge else 1
        for start in range(0, len(tags), step):
            for owner in {DEFAULT_CHANNEL} if huge else {DEFAULT_CHANNEL, owners[start % len(owners)]}:
                events += await loaded.check(day, owner, *tags[start : start + step])
                builds += 1
        if not huge:
            events += await loaded.check(day, DEFAULT_CHANNEL, *tags[:3])
    print(f"\n{builds} builds, {events} events")
    assert events > 1000


async def test_whole_objects_pass_in_the_resource_layout(
    samples: Path, objects: Objects, object_settings: ObjectSettings
) -> None:
    dataset = RawDataset.new(objects, object_settings, Layout.RESOURCE)
    owner = "org.ekstep.partner.pratham"
    full = hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()
    days: dict[date, dict[str, bytes]] = {}
    for number, path in enumerate(sample_files(samples)):
        data = path.read_bytes()
        day = FIRST + timedelta(days=len(data) > LARGE)
        name = f"{day}-{1793491200000 + number}.json.gz"
        days.setdefault(day, {})[name] = data
        await dataset.put(f"{(owner, full[:32], full)[number % 3]}/{name}", data)
    whole = Wanted(resource_of(owner), whole_objects=True)
    for day, files in days.items():
        await passes(dataset, day, files, whole)
    await passes(dataset, FIRST, days[FIRST], replace(whole, tags=(TAG,)))


async def passes(dataset: RawDataset, day: date, files: dict[str, bytes], wanted: Wanted) -> None:
    built = await dataset.build(resource=wanted.resource, tags=wanted.tags, day=day)
    counts = {count.name: count for count in count_day(files, wanted)}
    found = await dataset.members(built.record)
    assert sorted(found) == [member_name(name) for name, count in counts.items() if count.bytes]
    assert found
    for name, content in found.items():
        assert hashlib.sha256(content).hexdigest() == counts[f"{name}.gz"].sha256, name
    figures = {
        source.object.rpartition("/")[2]: (source.events, source.bytes, source.unreadable)
        for source in built.record.sources
    }
    assert figures == {name: (count.events, count.bytes, count.unreadable) for name, count in counts.items()}
