"""The selector decodes lines in batches, and remembers only a bounded number of owners."""

from __future__ import annotations

import json

from services.aggregator.scan.lines import LineBlock, LongLinePart
from services.aggregator.scan.selector import Selection, Selector
from telemetry.resource_ids import resource_id

DEFAULT = "in.default"


def selection(owner: str | None, *, tags: tuple[str, ...] = (), kinds: frozenset[str] = frozenset()) -> Selection:
    return Selection(resource_id(owner) if owner else None, None, tags, kinds, DEFAULT)


def event(channel: str, **more: object) -> bytes:
    return json.dumps({"eid": "E", "ver": "3.0", "context": {"channel": channel}} | more).encode() + b"\n"


def select(selector: Selector, *lines: bytes, offset: int = 0) -> list[bytes]:
    """What is selected of a block, by selection; nothing while lines wait."""
    return list(selector.select(LineBlock(offset, b"".join(lines))))


def test_lines_wait_until_there_are_256() -> None:
    selector = Selector([selection("a")])
    assert select(selector, *[event("a")] * 255) == []
    assert select(selector, event("b"), event("a")) == [event("a") * 256]
    assert selector.stats[0].events == 256
    assert select(selector, event("a")) == []
    assert selector.flush() == [event("a")]
    assert selector.flush() == [b""]


def padded(size: int) -> bytes:
    """An event of so many bytes."""
    short = event("a", edata={"noise": ""})
    return event("a", edata={"noise": "n" * (size - len(short))})


def test_lines_wait_until_they_have_half_a_mebibyte() -> None:
    half = 512 * 1024
    for first in (half - 200, half // 2):
        selector = Selector([selection("a")])
        assert select(selector, padded(first)) == []
        assert select(selector, padded(half - first - 1)) == []
        assert select(selector, event("b")) == [padded(first) + padded(half - first - 1)]
        assert select(selector, padded(half)) == [padded(half)]
        assert select(selector, padded(half - 1)) == []


def test_each_selection_gets_its_lines_in_their_order() -> None:
    selector = Selector([selection("a"), selection(None, tags=("t",)), selection("b", kinds=frozenset({"X"}))])
    lines = [event("a"), event("b", tags=["t"]), event("b", eid="X"), event("a", tags=["t"]), event("c")]
    select(selector, *lines)
    assert selector.flush() == [lines[0] + lines[3], lines[1] + lines[3], lines[2]]
    assert [stats.events for stats in selector.stats] == [2, 2, 1]


def test_a_line_that_is_too_long_counts_once_after_those_that_wait() -> None:
    selector = Selector([selection("a"), selection("b")])
    assert select(selector, event("a"), b"broken\n", offset=100) == []
    assert selector.select(LongLinePart(500, b"x" * 10, is_first=True)) == [event("a"), b""]
    assert selector.select(LongLinePart(510, b"x" * 10, is_first=False)) == ()
    broken = 100 + len(event("a"))
    assert [stats.unreadable_offsets for stats in selector.stats] == [[broken, 500], [broken, 500]]


def test_only_so_many_owners_and_no_long_ones_are_remembered() -> None:
    selector = Selector([selection("a")])
    remembered: dict[tuple[str, ...], object] = vars(selector)["_matches_by_owners"]

    def is_remembered(channel: str) -> bool:
        select(selector, event(channel))
        assert selector.flush() == [event(channel) if channel == "a" else b""]
        return (channel,) in remembered

    assert is_remembered("b" * 1024)
    assert not is_remembered("b" * 1025)
    assert all(is_remembered(f"in.{number}") for number in range(1022))
    assert is_remembered("a")
    assert len(remembered) == 1024
    assert not is_remembered("one too many")
    assert is_remembered("a")


def test_owners_that_were_met_before_are_matched_as_the_first_time() -> None:
    partner = resource_id("p")
    hashed = {"metadata": {"source": "x", "partner_name": [partner]}}
    selector = Selector([selection("p"), selection("a")])
    for _ in range(3):
        plain, named = event("a"), event("a", ver="3.0", **hashed)
        select(selector, plain, named)
        first, second = selector.flush()
        assert second == plain + named
        assert first in {b"", named}


def test_a_selection_of_everything_takes_all() -> None:
    assert selection(None).takes_all
    assert not selection("a").takes_all
    assert not selection(None, tags=("t",)).takes_all
    assert not selection(None, kinds=frozenset({"X"})).takes_all


def test_only_a_known_owner_of_a_resource_has_a_pattern() -> None:
    known = Selection(resource_id("in.one"), "in.one", (), frozenset(), DEFAULT)
    assert known.owner_pattern is not None
    assert known.owner_pattern.matches(b"in.one")
    assert selection("in.one").owner_pattern is None
    assert Selection(None, "in.one", (), frozenset(), DEFAULT).owner_pattern is None
