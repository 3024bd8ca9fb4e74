"""Archives of real telemetry for every owner and every tag, compared line by line with another implementation."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from deploy.local.independent_count import Wanted, count_object, is_wanted, lines_of, member_name
from deploy.local.independent_events import Event, channel_of, partners_of, resource_of, tags_of
from exhaust.domain.catalogue import Layout
from tests.support.raw_dataset import RawDataset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.build.day_builder import DayBuilder

DEFAULT_CHANNEL = "in.ekstep"
FIRST = date(2026, 11, 1)
DAYS = 3
LARGE = 100 * 1024  # a file of more stored bytes gets a day of its own
HUGE = 10_000  # a day of more events is built less often
TOGETHER = 8  # builds at once, few enough that a shared scan still finds their lines by bytes
# All that says whose an event is.
READ = ("eid", "ver", "tags", "genieTag", "etags", "dimensions", "channel", "context", "metadata")


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
        channels = {channel for kind in self.kinds if (channel := channel_of(kind, DEFAULT_CHANNEL)) is not None}
        return channels.union(*map(partners_of, self.kinds))

    def tags(self) -> set[str]:
        return set().union(*map(tags_of, self.kinds))


@dataclass(frozen=True, slots=True)
class Ask:
    """One day that somebody wants."""

    day: date
    owner: str
    tags: tuple[str, ...] = ()

    @property
    def wanted(self) -> Wanted:
        return Wanted(resource_of(self.owner), self.tags)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dataset that holds the samples.

    Attributes:
        by_id: whether who asks says the owner's plain id; then lines are found by their bytes.
    """

    dataset: RawDataset
    builder: DayBuilder
    samples: list[Sample]
    by_id: bool

    def on(self, day: date) -> list[Sample]:
        return [sample for sample in self.samples if sample.day == day]

    @property
    def days(self) -> list[date]:
        return sorted({sample.day for sample in self.samples})

    def huge(self, day: date) -> bool:
        return sum(len(sample.lines) for sample in self.on(day)) > HUGE

    def owners(self, day: date) -> list[str]:
        return sorted(set().union(*(sample.owners() for sample in self.on(day))))

    async def check_all(self, asks: Iterable[Ask]) -> int:
        """Builds days, compares each with the independent reading, and returns their events."""
        # Those of the default channel read every line, and would for all who share a scan with them.
        ordered = sorted(asks, key=lambda ask: ask.owner == DEFAULT_CHANNEL)
        found = 0
        for start in range(0, len(ordered), TOGETHER):
            found += sum(await asyncio.gather(*map(self.check, ordered[start : start + TOGETHER])))
        return found

    async def check(self, ask: Ask) -> int:
        message = self.dataset.message(
            resource=ask.wanted.resource, owner=ask.owner if self.by_id else None, tags=ask.tags, day=ask.day
        )
        built = await self.builder.build(message)
        assert not built.reused
        expected = {sample.name: sample.expected(ask.wanted) for sample in self.on(ask.day)}
        found = await self.dataset.members(built.summary)
        difference = different_lines(found, expected) or different_figures(
            built.summary, expected, {sample.name: sample.unreadable for sample in self.on(ask.day)}, by_id=self.by_id
        )
        assert difference is None, f"{ask}: {difference}"
        return built.summary.events


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


def different_figures(
    summary: DaySummary, expected: dict[str, list[bytes]], unreadable: dict[str, int], *, by_id: bool
) -> str | None:
    """Of an owner whose id is said, only unreadable lines that mention it count, so there may be fewer."""
    figures = {source.object.rpartition("/")[2]: (source.events, source.bytes) for source in summary.sources}
    right = {name: (len(lines), sum(map(len, lines))) for name, lines in expected.items()}
    totals = tuple(map(sum, zip(*right.values(), strict=True))) or (0, 0)
    if figures != right:
        return f"figures {figures}, expected {right}"
    if (summary.events, summary.bytes) != totals:
        return f"totals {(summary.events, summary.bytes)}, expected {totals}"
    there = {source.object.rpartition("/")[2]: source.unreadable for source in summary.sources}
    known = there == unreadable or (by_id and all(there[name] <= count for name, count in unreadable.items()))
    return None if known and summary.unreadable == sum(there.values()) else f"unreadable {there}, expected {unreadable}"


def sample_files(folder: Path) -> Iterator[Path]:
    for kind in ("v1v2", "v3", "derived"):
        yield from sorted((folder / kind).glob("*.gz"))


@pytest.fixture(scope="module")
def read_samples(samples: Path) -> Iterator[list[Sample]]:
    """Every sample file: large ones on days of their own, the others spread over DAYS."""
    found: list[Sample] = []
    large = 0
    for number, path in enumerate(sample_files(samples)):
        data = path.read_bytes()
        large += len(data) > LARGE
        day = FIRST + timedelta(days=DAYS - 1 + large if len(data) > LARGE else number % DAYS)
        sample = Sample(f"{day}-{1793491200000 + number}.json.gz", day, data)
        sample.read()
        found.append(sample)
    assert len(found) >= 20
    yield found
    for sample in found:
        sample.lines.clear()


@pytest.fixture(scope="module", params=[False, True], ids=["by hash", "by id"])
async def loaded(
    read_samples: list[Sample], objects: ObjectStore, s3_settings: S3RawBucketSettings, request: pytest.FixtureRequest
) -> AsyncIterator[Loaded]:
    """The samples in the shared layout. A dataset for each way to ask: what one has built the other would find."""
    by_id: bool = request.param
    dataset = RawDataset.new(objects, s3_settings, Layout.SHARED)
    await asyncio.gather(*(dataset.put(sample.name, sample.data) for sample in read_samples))
    async with dataset.builder() as builder:
        yield Loaded(dataset, builder, read_samples, by_id)


def test_the_reading_of_this_module_agrees_with_the_independent_count(read_samples: list[Sample]) -> None:
    owners = set().union(*(sample.owners() for sample in read_samples))
    for sample in read_samples:
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
    everybody = set().union(*map(loaded.owners, loaded.days))
    asks = []
    for day in loaded.days:
        there = loaded.owners(day)
        asks += [Ask(day, owner) for owner in [*there, min(everybody.difference(there))]]
    events = await loaded.check_all(asks)
    assert events >= sum(len(sample.lines) for sample in loaded.samples)  # each has a channel at least
    print(f"\n{len(everybody)} owners, {len(asks)} builds, {events} events")


async def test_every_tag_gets_its_lines(loaded: Loaded) -> None:
    asks = []
    for day in loaded.days:
        tags = sorted(set().union(*(sample.tags() for sample in loaded.on(day))))
        owners = loaded.owners(day)
        huge = loaded.huge(day)
        step = 2 if huge else 1
        for start in range(0, len(tags), step):
            wanting = {owners[-1] if loaded.by_id else DEFAULT_CHANNEL, owners[start % len(owners)]}
            asks += [Ask(day, owner, tuple(tags[start : start + step])) for owner in sorted(wanting)]
        if tags and not huge:
            asks.append(Ask(day, DEFAULT_CHANNEL, tuple(tags[:3])))
    events = await loaded.check_all(dict.fromkeys(asks))
    print(f"\n{len(asks)} builds, {events} events")
    assert events > 1000


@pytest.fixture(scope="module")
async def folders(
    read_samples: list[Sample], objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> AsyncIterator[tuple[RawDataset, DayBuilder]]:
    """The samples in the resource layout: each in the folder of every owner that it names, written in all forms."""
    dataset = RawDataset.new(objects, s3_settings, Layout.RESOURCE)
    for sample in read_samples:
        puts = []
        for number, owner in enumerate(sorted(sample.owners())):
            full = hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()
            puts.append(dataset.put(f"{(owner, full[:32], full)[number % 3]}/{sample.name}", sample.data))
        await asyncio.gather(*puts)
    async with dataset.builder() as builder:
        yield dataset, builder


async def test_whole_objects_pass_to_every_channel_and_partner(
    read_samples: list[Sample], folders: tuple[RawDataset, DayBuilder]
) -> None:
    dataset, builder = folders
    for sample in read_samples:
        whole = Wanted("", whole_objects=True)
        count = count_object(sample.name, sample.data, whole)
        # The independent count once for each object: it is the same for all to whom the object belongs.
        for owner in sorted(sample.owners()):
            built = await builder.build(dataset.message(resource=resource_of(owner), owner=owner, day=sample.day))
            [source] = [each for each in built.summary.sources if each.object.endswith(sample.name)]
            assert (source.events, source.bytes, source.unreadable) == (count.events, count.bytes, count.unreadable)
            found = (await dataset.members(built.summary))[member_name(sample.name)]
            assert hashlib.sha256(found).hexdigest() == count.sha256, (sample.name, owner)


async def test_every_tag_chooses_in_the_resource_layout(
    read_samples: list[Sample], folders: tuple[RawDataset, DayBuilder]
) -> None:
    dataset, builder = folders
    for day in sorted({sample.day for sample in read_samples}):
        there = [sample for sample in read_samples if sample.day == day]
        owner = max(sorted(set().union(*(sample.owners() for sample in there))), key=partial(holding, there))
        mine = [sample for sample in there if owner in sample.owners()]
        tags = sorted(set().union(*(sample.tags() for sample in mine)))
        step = 20 if sum(len(sample.lines) for sample in mine) > HUGE else 1
        for start in range(0, len(tags), step):
            some = tuple(tags[start : start + step])
            built = await builder.build(dataset.message(resource=resource_of(owner), tags=some, day=day))
            wanted = Wanted("", some, whole_objects=True)
            expected = {sample.name: sample.expected(wanted) for sample in mine}
            assert different_lines(await dataset.members(built.summary), expected) is None, (day, owner, some)


def holding(samples: list[Sample], owner: str) -> int:
    return sum(owner in sample.owners() for sample in samples)
