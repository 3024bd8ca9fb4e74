"""The ends of an archive that the portal reads: its manifest from the tail, and the first events from the front."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ExhaustError
from services.gateway.portal.archive_reading import LONGEST_LINE, MOST_EVENTS, first_lines


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def as_member(day: bytes) -> bytes:
    """A day archive as it stands in a download, behind its local header."""
    return zipped({"2026-11-01.zip": day}, zipfile.ZIP_STORED)


def lines(count: int, member: int = 0) -> bytes:
    return b"".join(json.dumps({"mid": f"{member}-{number}"}).encode() + b"\n" for number in range(count))


@pytest.mark.parametrize("counts", [(3,), (50,), (5, 40), (1, 1, 1), (20, 1), (0, 3)])
def test_the_first_lines_are_those_of_the_first_members(counts: tuple[int, ...]) -> None:
    members = {f"{place}.json": lines(count, place) for place, count in enumerate(counts)}
    every = b"".join(members.values()).decode().splitlines()
    assert first_lines(as_member(zipped(members))) == every[:MOST_EVENTS]


def test_a_line_that_is_cut_is_not_shown_and_a_long_one_is_shortened() -> None:
    whole = as_member(zipped({"a.json": lines(5000)}))
    cut = first_lines(whole[:300])
    assert 0 < len(cut) <= MOST_EVENTS
    assert all(json.loads(line) for line in cut)
    [long] = first_lines(as_member(zipped({"a.json": b"x" * 100_000 + b"\n"})))
    assert len(long) == LONGEST_LINE + 1


def test_a_bomb_is_inflated_in_part_only() -> None:
    bomb = as_member(zipped({"a.json": b"\n" * 500_000_00}))
    assert first_lines(bomb) == []


def test_what_is_no_archive_is_refused() -> None:
    for content in (b"", b"PK\x03\x04", b"x" * 100, as_member(b"no zip at all"[:0])[:10]):
        with pytest.raises(ExhaustError):
            first_lines(content)
    with pytest.raises(ExhaustError):
        first_lines(as_member(zipped({"a.json": b"stored\n"}, zipfile.ZIP_STORED)))


@given(st.binary(max_size=400), st.integers(0, 300))
def test_no_bytes_make_it_fail_otherwise(noise: bytes, place: int) -> None:
    good = as_member(zipped({"a.json": lines(30)}))
    try:
        found = first_lines(good[:place] + noise)
    except ExhaustError:
        return
    assert len(found) <= MOST_EVENTS
