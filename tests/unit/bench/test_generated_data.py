from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from bench.aggregator.generated_data import CHANNELS, Recipe, blocks, content_key, day_objects, gzip_block
from deploy.local.independent_events import channel_of, partners_of

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Recipe(events=3000)


@pytest.fixture(scope="module")
def block() -> tuple[bytes, int]:
    """The first block of SMALL, and how many bytes it holds."""
    return gzip_block(0, SMALL)


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(data).splitlines()]


def test_the_same_recipe_gives_the_same_bytes_and_another_number_others(block: tuple[bytes, int]) -> None:
    first, raw = block
    assert gzip_block(0, SMALL) == (first, raw)
    assert gzip_block(1, SMALL)[0] != first
    assert len(gzip.decompress(first)) == raw


def test_lines_are_events_of_about_a_kilobyte_from_every_channel(block: tuple[bytes, int]) -> None:
    data, raw = block
    found = events(data)
    assert len(found) == SMALL.events
    assert 800 < raw / SMALL.events < 1200
    counts = Counter(channel_of(event, "none") for event in found)
    assert set(counts) == set(CHANNELS)
    assert max(counts.values()) < SMALL.events / 5
    assert len({event["mid"] for event in found}) == SMALL.events
    assert {event["ver"] for event in found} == {"3.0"}


def test_some_events_name_a_partner_and_some_another_channel_elsewhere(block: tuple[bytes, int]) -> None:
    found = events(block[0])
    partners = sum(bool(partners_of(event)) for event in found)
    assert 0.1 < partners / len(found) < 0.6
    assert any(event["context"]["rollup"]["l1"] != event["context"]["channel"] for event in found)


def test_the_events_of_a_session_share_its_ids(block: tuple[bytes, int]) -> None:
    sessions: dict[str, set[tuple[str, str]]] = {}
    for event in events(block[0]):
        context = event["context"]
        sessions.setdefault(context["sid"], set()).add((context["channel"], context["did"]))
    assert len(sessions) > 100
    assert {len(seen) for seen in sessions.values()} == {1}


def test_blocks_are_made_once(tmp_path: Path) -> None:
    recipe = Recipe(events=200, channels=("org.example.only",))
    made = blocks(tmp_path, 2, recipe)
    times = [block.path.stat().st_mtime_ns for block in made]
    again = blocks(tmp_path, 2, recipe)
    assert again == made
    assert [block.path.stat().st_mtime_ns for block in again] == times
    assert made[0].path.parent.name == content_key(recipe) != content_key(SMALL)
    assert {event["context"]["channel"] for event in events(made[1].path.read_bytes())} == {"org.example.only"}


def test_objects_are_spread_over_their_day_and_take_the_blocks_in_turn(tmp_path: Path) -> None:
    made = blocks(tmp_path, 2, Recipe(events=50))
    objects = day_objects(date(2026, 2, 3), made, 2)
    assert [found.name for found in objects] == ["2026-02-03-1770119999999.json.gz", "2026-02-03-1770163199999.json.gz"]
    assert [found.blocks for found in objects] == [(made[0],), (made[1],)]
    (large,) = day_objects(date(2026, 2, 3), made, 1, blocks_each=3)
    data = b"".join(large.chunks())
    assert len(data) == large.stored
    assert len(gzip.decompress(data)) == large.raw == made[0].raw * 2 + made[1].raw
