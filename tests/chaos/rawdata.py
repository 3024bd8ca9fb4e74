"""Raw telemetry for the runs, and the oracle that knows what a download of it must hold."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from deploy.local.independent_count import Wanted, compare_download, is_wanted, lines_of
from telemetry.generator import GeneratorPlan, generate
from tests.chaos.history import FAILED, Asked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.attacks.store import Store

DATASET: Final = "eks-consumption-raw"
ELSEWHERE: Final = "chaos-elsewhere"
CATALOGUE: Final = f"""
[[dataset]]
id = "{DATASET}"
prefix = "raw/"
layout = "shared"
retention_days = 7

[[dataset]]
id = "{ELSEWHERE}"
prefix = "elsewhere/"
layout = "shared"
retention_days = 7
executor = "/chaos/nobody"
"""
FIRST_DAY: Final = date(2015, 1, 1)
PARTNERS: Final = ("org.example.partner.maple", "org.example.partner.river", "org.example.partner.harbour")
TAGS: Final = ((), ("program-maple",), ("program-river",), ("program-maple", "program-river"))
_EVENTS, _OBJECTS = 240, 2
_LARGE_LINES, _LARGE_LINE_BYTES = 96, 36_000  # of each of two objects: together more than a part of an upload


def resource_of(owner: str) -> str:
    """The documented hash of a partner's id."""
    return hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()[:32]


@dataclass(slots=True)
class RawData:
    """The objects in the raw bucket, by day and name, and what must become of requests for them.

    Attributes:
        broken: days with an object that is no sound gzip.
        sound: by day, the object that one which ends too early should be.
        large: days whose archive of the first partner takes a multipart upload.
    """

    store: Store
    bucket: str
    seed: int
    days: dict[str, dict[str, bytes]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    sound: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    large: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    _next: date = FIRST_DAY
    _judged: dict[tuple[Asked, str], list[str]] = field(default_factory=dict)

    async def add_days(self, number: int) -> list[str]:
        """Put so many new days side by side into the bucket, and a gap behind them."""
        days = tuple(self._next + timedelta(days=offset) for offset in range(number))
        self._next = days[-1] + timedelta(days=2)
        plan = GeneratorPlan(
            seed=self.seed,
            days=days,
            channels=2,
            partners=len(PARTNERS),
            tags=3,
            events_per_day=_EVENTS,
            objects_per_day=_OBJECTS,
        )
        for raw in generate(plan):
            await self._put(raw.day.isoformat(), raw.name, raw.data)
        added = [day.isoformat() for day in days]
        self.plain += added
        return added

    async def add_broken_day(self) -> str:
        """Add a day with an object that ends too early."""
        day = self._lone_day()
        self.broken.append(day)
        [sound] = _large_objects(day, self.seed, objects=1, lines=3)
        await self._put(day, sound[0], sound[1][:-200])
        return day

    async def add_half_broken_days(self) -> Asked:
        """Add two days side by side, of which the second has an object that ends too early."""
        sound, broken = await self.add_days(2)
        self.plain = self.plain[:-2]
        name, data = next(iter(self.days[broken].items()))
        self.sound[broken] = (name, data)
        await self._put(broken, name, data[:-20])
        return Asked(DATASET, PARTNERS[0], resource_of(PARTNERS[0]), sound, broken, expected=FAILED)

    async def repair(self, asked: Asked) -> None:
        """Replace the object that ends too early."""
        await self._put(asked.last, *self.sound[asked.last])

    async def add_large_day(self) -> str:
        """Add a day whose archive for the first partner is larger than a part of an upload."""
        day = self._lone_day()
        self.large.append(day)
        for name, data in _large_objects(day, self.seed, objects=_OBJECTS, lines=_LARGE_LINES):
            await self._put(day, name, data)
        return day

    def _lone_day(self) -> str:
        day = self._next.isoformat()
        self._next += timedelta(days=2)
        return day

    async def _put(self, day: str, name: str, data: bytes) -> None:
        self.days.setdefault(day, {})[name] = data
        await self.store.put(self.bucket, f"raw/{name}", data)

    def ask(self, random: Random) -> Asked:
        """What a client may ask for next: one to three days of one partner, with or without tags."""
        partner = random.choice(PARTNERS)
        first = random.choice(self.plain[-12:])
        last = first
        for _ in range(random.choice((0, 0, 1, 2))):
            following = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
            last = following if following in self.days else last
        return Asked(DATASET, partner, resource_of(partner), first, last, random.choice(TAGS))

    def ask_large(self) -> Asked:
        return Asked(DATASET, PARTNERS[0], resource_of(PARTNERS[0]), self.large[-1], self.large[-1])

    def ask_broken(self) -> Asked:
        day = self.broken[-1]
        return Asked(DATASET, PARTNERS[1], resource_of(PARTNERS[1]), day, day, expected=FAILED)

    def ask_elsewhere(self) -> Asked:
        """A request that nobody works on, so that it fails after its last attempt."""
        day = self.plain[-1]
        return Asked(ELSEWHERE, PARTNERS[2], resource_of(PARTNERS[2]), day, day, expected=FAILED)

    def differences(self, asked: Asked, download: bytes, folder: Path) -> list[str]:
        """Say how a download differs from what the oracle expects. Equal downloads are judged once."""
        digest = hashlib.sha256(download).hexdigest()
        known = self._judged.get((asked, digest))
        if known is None:
            path = folder / f"{digest}.zip"
            path.write_bytes(download)
            wanted = Wanted(asked.resource, asked.tags)
            compared = compare_download(path, asked.days(), self._read_day, wanted)
            path.unlink()
            known = self._judged[asked, digest] = [day.difference for day in compared if day.difference]
        return known

    def _read_day(self, day: str) -> Mapping[str, bytes]:
        return self.days.get(day, {})

    def foreign_lines(self, asked: Asked, lines: list[bytes]) -> int:
        """Count the lines that belong to somebody else's data of those days."""
        wanted = Wanted(asked.resource)
        foreign = {
            line.rstrip(b"\n")
            for day in asked.days()
            for data in self._read_day(day).values()
            for line, event in lines_of(data)
            if event is not None and not is_wanted(event, wanted)
        }
        return sum(line in foreign for line in lines)


def _large_objects(day: str, seed: int, *, objects: int, lines: int) -> list[tuple[str, bytes]]:
    """Objects of few long lines of the first partner that nothing compresses."""
    random = Random(f"{seed} {day}")
    midnight = int((date.fromisoformat(day) - date(1970, 1, 1)).total_seconds() * 1000)
    made = []
    for number in range(objects):
        events = (
            {
                "eid": "LOG",
                "ver": "3.0",
                "ets": midnight + line,
                "mid": f"large:{day}:{number}:{line}",
                "context": {"channel": "in.example", "cdata": [{"type": "partner", "id": PARTNERS[0]}]},
                "edata": {"text": base64.b64encode(random.randbytes(_LARGE_LINE_BYTES)).decode()},
            }
            for line in range(lines)
        )
        data = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        made.append((f"{day}-{midnight + number + 1}.json.gz", gzip.compress(data, 1)))
    return made
