"""Lines over 1 MiB, which anybody who sends telemetry can write: passed over, counted, told with their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.callers import new_owner
from tests.attacks.downloads import Opened, opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.callers import Caller, Callers
    from tests.attacks.store import RawData

MIB: Final = 1024 * 1024
# A day for each way of searching, so that neither finds what the other has built.
BY_ID, BY_HASH = "2025-01-25", "2025-01-26"
STAMP: Final = 1737763200000
SHARED: Final = "eks-creation-raw"
DATASETS: Final = (SHARED, "D001")


def _event(owner: str, size: int) -> bytes:
    return line(owner, "long", edata={"filler": "x" * size})


LONG: Final[dict[str, Callable[[str], bytes]]] = {
    "long-event": lambda owner: _event(owner, MIB + MIB // 2),
    "long-junk": lambda _: b"j" * (3 * MIB) + b"\n",
    "long-without-end": lambda owner: _event(owner, 2 * MIB).rstrip(b"\n"),
    "much-longer": lambda owner: _event(owner, 40 * MIB),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Two owners, one of whom wrote a line that is too long, in both layouts."""

    caller: Caller
    number: int
    writer: str
    other: str

    async def both_ways(self, dataset: str, owner: str) -> dict[str, Opened]:
        """The download by day: searched by the owner's plain id, and by its hash alone."""
        known = await self.caller.archive_of(await self.caller.accepted(f"{dataset}/{{}}/{BY_ID}/{BY_ID}", owner))
        by_hash = await self.caller.download(f"{dataset}/{{}}/{BY_HASH}/{BY_HASH}", owner)
        assert by_hash.status == 200, by_hash
        return {BY_ID: opened(known), BY_HASH: opened(by_hash.body)}

    def name(self, day: str) -> str:
        return f"{day}-{STAMP + self.number}.json.gz"


@pytest.fixture(scope="module")
async def places(callers: Callers, raw: RawData) -> dict[str, Place]:
    found: dict[str, Place] = {}
    caller = await callers.new()
    for number, (name, long) in enumerate(LONG.items()):
        found[name] = place = Place(caller, number, new_owner(), new_owner())
        await caller.may_read(place.writer, place.other)
        mine = [line(place.writer, "first"), long(place.writer), line(place.writer, "last")]
        if name == "long-without-end":
            mine.pop()
        everybodys = packed(line(place.other, "others"), *mine)
        for day in (BY_ID, BY_HASH):
            await raw.put(f"creation/raw/{place.name(day)}", everybodys)
            await raw.put(f"public/{place.writer}/{place.name(day)}", packed(*mine))
    return found


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("dataset", DATASETS)
async def test_a_line_that_is_too_long_is_passed_over_and_counted_with_its_place(
    places: dict[str, Place], dataset: str, name: str
) -> None:
    place = places[name]
    expected = ["first"] if name == "long-without-end" else ["first", "last"]
    for day, download in (await place.both_ways(dataset, place.writer)).items():
        entry = download.day(day)
        assert (entry["state"], entry["events"]) == ("ok", len(expected))
        told = [found["line"] for found in entry["unreadablelines"] if found["object"] == place.name(day)]
        assert told == [3 if dataset == SHARED else 2]
        assert [mid for mid in download.mids if mid != "long"] == expected


@pytest.mark.parametrize("name", LONG)
async def test_the_day_of_everybody_else_completes(places: dict[str, Place], name: str) -> None:
    place = places[name]
    for day, download in (await place.both_ways(SHARED, place.other)).items():
        assert download.mids == ["others"]
        assert download.day(day)["unreadable"] >= 1
