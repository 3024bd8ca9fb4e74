"""Whose an event is that the pipeline derived, and one whose channel or version is no string."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.attacks.callers import Caller, Callers
    from tests.attacks.store import RawData

DATASET: Final = "eks-consumption-summary"
DEFAULT: Final = "in.ekstep"
# A day for each way of searching, so that neither finds what the other has built; two more for the real samples.
BY_ID, BY_HASH, SAMPLES_BY_ID, SAMPLES_BY_HASH = "2025-01-28", "2025-01-29", "2025-01-30", "2025-01-31"
STAMP: Final = 1738022400000


def derived(mid: str, /, **members: Any) -> bytes:
    """A summary, as the pipeline stores them; its context is the pipeline's own."""
    return line("pipeline", mid, eid="ME_SESSION_SUMMARY", **({"ver": "1.0"} | members))


# Named by who must get it: mine (`owner`), the default channel's holder, or nobody.
Lines = dict[str, "Callable[[str], bytes]"]
MINE: Final[Lines] = {
    "dimensions-1.0": lambda owner: derived("dimensions-1.0", dimensions={"channel": owner}),
    "dimensions-2.1": lambda owner: derived("dimensions-2.1", ver="2.1", dimensions={"channel": owner}),
    "dimensions-3.0": lambda owner: derived("dimensions-3.0", ver="3.0", dimensions={"channel": owner}),
    "not-top-level": lambda owner: derived("not-top-level", channel=DEFAULT, dimensions={"channel": owner}),
    "top-level": lambda owner: derived("top-level", ver="2.1", channel=owner, dimensions={"did": "d"}),
    "blank-dimensions": lambda owner: derived("blank-dimensions", channel=owner, dimensions={"channel": " "}),
    "partner-1.0": lambda owner: derived("partner-1.0", etags={"partner": [owner]}),
    "partner-2.0": lambda owner: derived("partner-2.0", ver="2.0", etags={"partner": owner}),
    "partner-3.0": lambda owner: derived("partner-3.0", ver="3.0", etags={"partner": [owner]}),
    "number-2.1": lambda owner: line(None, "number-2.1", ver=2.1, etags={"partner": [owner]}, channel="x"),
    "number-2.2": lambda owner: line(None, "number-2.2", ver=2.2, channel=owner),
    "number-3": lambda owner: line(owner, "number-3", ver=3),
    "number-2.0": lambda owner: line(None, "number-2.0", ver=2.0, tags=[{"partnerid": owner}], channel="x"),
    "number-1.0": lambda owner: line("x", "number-1.0", ver=1.0, tags=[{"partnerid": [owner]}]),
}
DEFAULTS: Final[Lines] = {
    "nothing-named": lambda _: derived("nothing-named", dimensions={"did": "d"}),
    "no-dimensions": lambda _: derived("no-dimensions", dimensions=None),
    "context-never-counts": lambda owner: line(owner, "context-never-counts", eid="ME_X", ver="3.0"),
}
NOBODYS: Final[Lines] = {
    "number": lambda _: line(None, "number", context={"channel": 5}),
    "true": lambda _: line(None, "true", context={"channel": True}),
    "object": lambda owner: line(None, "object", context={"channel": {"id": owner}}),
    "number-2.x": lambda _: line(None, "number-2.x", ver="2.1", channel=7),
    "number-in-dimensions": lambda _: derived("number-in-dimensions", dimensions={"channel": 9}),
    "object-in-dimensions": lambda _: derived("object-in-dimensions", dimensions={"channel": {"a": 1}}),
    "number-before-top": lambda owner: derived("number-before-top", channel=owner, dimensions={"channel": 9}),
}
HOLDERS_OF_NUMBERS: Final = ("5", "7", "9", "True", "true", "{}")
TAGGED: Final[Mapping[str, Mapping[str, Any]]] = {
    "etags-app": {"etags": {"app": ["wanted"]}},
    "etags-dims": {"etags": {"dims": ["wanted"]}},
    "genie-tag": {"genieTag": "wanted"},
    "dimensions-tag": {"dimensions": {"tag": "wanted"}},
    "tags-string": {"tags": ["wanted"]},
    "tags-genie": {"tags": [{"genie": ["wanted"]}]},
}


@dataclass(frozen=True, slots=True)
class Place:
    caller: Caller
    owner: str

    async def found(self, owner: str, *, query: str = "") -> dict[str, set[str]]:
        """What an owner gets, by day: searched by its plain id, and by its hash alone."""
        path = f"{DATASET}/{{}}/{BY_ID}/{BY_ID}"
        known = opened(await self.caller.archive_of(await self.caller.accepted(path, owner, query=query)))
        if query:
            return {BY_ID: set(known.mids)}
        reply = await self.caller.download(f"{DATASET}/{{}}/{BY_HASH}/{BY_HASH}", owner)
        assert reply.status == 200, reply
        return {BY_ID: set(known.mids), BY_HASH: set(opened(reply.body).mids)}


@pytest.fixture(scope="module")
async def place(callers: Callers, raw: RawData) -> Place:
    owner = new_owner()
    lines = [make(owner) for kinds in (MINE, DEFAULTS, NOBODYS) for make in kinds.values()]
    for name, members in TAGGED.items():
        dimensions = {"channel": owner} | members.get("dimensions", {})
        lines.append(derived(f"tag-{name}", **{**members, "dimensions": dimensions}))
    lines.append(derived("tag-all", dimensions={"channel": owner, "tag": "all"}))
    for day in (BY_ID, BY_HASH):
        await raw.put(f"summary/{day}-{STAMP}.json.gz", packed(*lines))
    return Place(await callers.new(owner, DEFAULT, *HOLDERS_OF_NUMBERS), owner)


async def test_a_derived_event_goes_to_the_channel_and_partner_that_it_names(place: Place) -> None:
    for day, found in (await place.found(place.owner)).items():
        assert {mid for mid in found if not mid.startswith("tag-")} == set(MINE), day


async def test_the_holder_of_the_default_channel_gets_only_what_names_no_other(place: Place) -> None:
    for day, found in (await place.found(DEFAULT)).items():
        assert found - set(MINE) == set(DEFAULTS), day
        # `channel` of 1.0 is none: such an event of a partner is the default channel's too.
        assert found & set(MINE) <= {"partner-1.0", "partner-2.0", "partner-3.0", "number-1.0"}, day


@pytest.mark.parametrize("holder", HOLDERS_OF_NUMBERS)
async def test_a_channel_that_is_no_string_belongs_to_nobody(place: Place, holder: str) -> None:
    assert set().union(*(await place.found(holder)).values()) == set()


async def test_tags_of_derived_events_are_found_wherever_they_stand(place: Place) -> None:
    for found in (await place.found(place.owner, query="?tags[]=wanted")).values():
        assert found == {f"tag-{name}" for name in TAGGED}


async def test_all_is_no_tag_of_a_derived_event(place: Place) -> None:
    assert await place.found(place.owner, query="?tags[]=all") == {BY_ID: set()}


async def test_the_summaries_of_real_pipelines_go_to_their_channels(
    samples: Path, callers: Callers, raw: RawData
) -> None:
    files = sorted((samples / "derived").glob("*.gz"))
    assert len(files) >= 4
    for number, path in enumerate(files):
        for day in (SAMPLES_BY_ID, SAMPLES_BY_HASH):
            await raw.put(f"summary/{day}-{STAMP + number}.json.gz", path.read_bytes())
    whose = _whose(files)
    assert len(whose) > 3
    caller = await callers.new(*whose)
    paths = [f"{DATASET}/{{}}/{day}/{day}" for day in (SAMPLES_BY_ID, SAMPLES_BY_HASH)]
    ids = await asyncio.gather(*(caller.accepted(paths[0], owner) for owner in whose))
    known = await asyncio.gather(*map(caller.archive_of, ids))
    by_hash = [(await caller.download(paths[1], owner)).body for owner in whose]
    for owner, first, second in zip(whose, known, by_hash, strict=True):
        expected = sorted(whose[owner])
        assert [sorted(opened(download).mids) for download in (first, second)] == [expected] * 2, owner


def _whose(files: list[Path]) -> dict[str, list[str]]:
    """The `mid` of each line by the channel that it names, worked out here once more."""
    found: dict[str, list[str]] = {DEFAULT: []}
    for path in files:
        for text in gzip.decompress(path.read_bytes()).splitlines():
            event = json.loads(text)
            if event["eid"].startswith("ME_"):
                channel = event.get("dimensions", {}).get("channel") or event.get("channel")
            else:
                channel = event["context"].get("channel")
            found.setdefault(channel or DEFAULT, []).append(event["mid"])
    return found
