"""Lines that nest without end: one limit for every layout, way of searching and place in the event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.callers import Callers
    from tests.attacks.store import RawData

# A day for each way of searching, so that neither finds what the other has built.
BY_ID, BY_HASH = "2025-04-07", "2025-04-08"
STAMP: Final = 1743984000000
DEPTHS: Final = (100, 500, 990, 995, 1_000, 1_100, 5_000, 100_000)
READ, PASSED_OVER = "tags", "edata"


def nested(owner: str, member: str, depth: int) -> bytes:
    """An event whose member holds lists in lists; told apart by its `mid`."""
    written = line(owner, f"{member}-{depth}", **{member: ["DEEP"]})
    return written.replace(b'"DEEP"', b"[" * (depth - 1) + b"]" * (depth - 1))


@pytest.fixture(scope="module")
async def unreadable(callers: Callers, raw: RawData) -> dict[str, set[str]]:
    """The lines that could not be read, by layout and way of searching."""
    owner = new_owner()
    kinds = [(member, depth) for depth in DEPTHS for member in (READ, PASSED_OVER)]
    lines = [nested(owner, member, depth) for member, depth in kinds]
    for day in (BY_ID, BY_HASH):
        await raw.put(f"creation/metrics/{day}-{STAMP}.json.gz", packed(*lines))
        await raw.put(f"public/{owner}/{day}-{STAMP}.json.gz", packed(*lines))
    caller, names = (
        await callers.new(owner),
        [f"{member}-{depth}" for depth in DEPTHS for member in (READ, PASSED_OVER)],
    )
    found: dict[str, set[str]] = {}
    for dataset in ("eks-creation-metrics", "D001"):
        known = await caller.archive_of(await caller.accepted(f"{dataset}/{{}}/{BY_ID}/{BY_ID}", owner))
        by_hash = (await caller.download(f"{dataset}/{{}}/{BY_HASH}/{BY_HASH}", owner)).body
        for day, download in ((BY_ID, known), (BY_HASH, by_hash)):
            entry: Mapping[str, Any] = opened(download).day(day)
            told = {names[place["line"] - 1] for place in entry["unreadablelines"]}
            assert (entry["unreadable"], entry["events"]) == (len(told), len(lines) - len(told))
            found[f"{dataset}/{day}"] = told
    return found


def test_one_depth_is_too_deep_everywhere(unreadable: dict[str, set[str]]) -> None:
    first, *others = unreadable.values()
    assert others == [first] * 3
    assert {name.partition("-")[2] for name in first if name.startswith(READ)} == {
        name.partition("-")[2] for name in first if name.startswith(PASSED_OVER)
    }


def test_what_nests_a_little_is_read_and_what_nests_without_end_is_not(unreadable: dict[str, set[str]]) -> None:
    for told in unreadable.values():
        assert not told & {f"{member}-{depth}" for member in (READ, PASSED_OVER) for depth in (100, 500)}
        assert {f"{READ}-100000", f"{PASSED_OVER}-100000"} <= told
