from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.archive.outer_archive import CopiedObject, Literal, Segment
from services.aggregator.archive.part_plan import MAX_COPIED_BYTES, ObjectRange, ReadPart, plan_parts

MIN = 5
SEGMENTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4)), max_size=8).map(
    lambda days: (
        [
            segment
            for number, (size, header) in enumerate(days)
            for segment in (Literal(b"h" * header), CopiedObject(str(number), size))
        ]
        + [Literal(b"the end")]
    )
)


def spelled(pieces: list[bytes | ObjectRange]) -> list[tuple[str, int]]:
    """Every byte by where it comes from."""
    found: list[tuple[str, int]] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            found += [("", value) for value in piece]
        else:
            found += [(piece.key, at) for at in range(piece.start, piece.end)]
    return found


def length(piece: bytes | ObjectRange) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.end - piece.start


@given(SEGMENTS)
def test_the_parts_are_the_segments_and_none_but_the_last_is_small(segments: list[Segment]) -> None:
    parts = plan_parts(segments, min_part=MIN)
    whole = [
        segment.data if isinstance(segment, Literal) else ObjectRange(segment.key, 0, segment.size)
        for segment in segments
    ]
    pieces = [piece for part in parts for piece in (part.pieces if isinstance(part, ReadPart) else [part])]
    assert spelled(pieces) == spelled(whole)
    sizes = [sum(map(length, part.pieces)) if isinstance(part, ReadPart) else length(part) for part in parts]
    assert all(size >= MIN for size in sizes[:-1])


@given(SEGMENTS)
def test_only_one_part_of_a_large_object_is_read(segments: list[Segment]) -> None:
    read: dict[str, int] = {}
    for part in plan_parts(segments, min_part=MIN):
        for piece in part.pieces if isinstance(part, ReadPart) else ():
            if isinstance(piece, ObjectRange):
                read[piece.key] = read.get(piece.key, 0) + length(piece)
    sizes = {segment.key: segment.size for segment in segments if isinstance(segment, CopiedObject)}
    assert all(amount <= MIN for key, amount in read.items() if sizes[key] >= 2 * MIN)


def test_nothing_of_large_days_is_read() -> None:
    mib = 2**20
    segments: list[Segment] = [CopiedObject("a", 64 * mib), CopiedObject("b", 5 * mib), Literal(b"tail")]
    parts = plan_parts(segments, min_part=5 * mib)
    assert parts == [ObjectRange("a", 0, 64 * mib), ObjectRange("b", 0, 5 * mib), ReadPart([b"tail"])]


def test_a_small_day_takes_the_first_bytes_of_a_large_one_with_it() -> None:
    mib = 2**20
    segments: list[Segment] = [CopiedObject("a", mib), CopiedObject("b", 64 * mib), Literal(b"tail")]
    first, copied, last = plan_parts(segments, min_part=5 * mib)
    assert first == ReadPart([ObjectRange("a", 0, mib), ObjectRange("b", 0, 4 * mib)])
    assert copied == ObjectRange("b", 4 * mib, 64 * mib)
    assert last == ReadPart([b"tail"])


def test_a_read_part_ends_as_soon_as_it_is_large_enough() -> None:
    small: list[Segment] = [Literal(b"hh"), CopiedObject("a", 3), Literal(b"hhhh"), CopiedObject("b", 4), Literal(b"t")]
    assert plan_parts(small, min_part=MIN) == [
        ReadPart([b"hh", ObjectRange("a", 0, 3)]),
        ReadPart([b"hhhh", ObjectRange("b", 0, 4)]),
        ReadPart([b"t"]),
    ]
    assert plan_parts([Literal(b"hhhhh"), Literal(b"t")], min_part=MIN) == [ReadPart([b"hhhhh"]), ReadPart([b"t"])]


def test_an_object_is_copied_when_enough_of_it_is_left() -> None:
    begun = Literal(b"hh")
    enough, too_small = CopiedObject("a", MIN + 3), CopiedObject("a", MIN + 2)
    assert plan_parts([begun, enough], min_part=MIN) == [
        ReadPart([b"hh", ObjectRange("a", 0, 3)]),
        ObjectRange("a", 3, MIN + 3),
    ]
    assert plan_parts([begun, too_small], min_part=MIN) == [ReadPart([b"hh", ObjectRange("a", 0, MIN + 2)])]
    assert plan_parts([CopiedObject("a", MIN)], min_part=MIN) == [ObjectRange("a", 0, MIN)]


def test_no_copied_part_is_small_and_none_is_larger_than_it_must_be() -> None:
    assert MAX_COPIED_BYTES == 256 * 2**20
    small = 5 * 2**20
    for size, ends in (
        (MAX_COPIED_BYTES, [MAX_COPIED_BYTES]),
        (MAX_COPIED_BYTES + small - 1, [MAX_COPIED_BYTES + small - 1]),
        (MAX_COPIED_BYTES + small, [MAX_COPIED_BYTES, MAX_COPIED_BYTES + small]),
    ):
        starts = [0, *ends[:-1]]
        expected = [ObjectRange("a", start, end) for start, end in zip(starts, ends, strict=True)]
        assert plan_parts([CopiedObject("a", size)], min_part=small) == expected


def test_very_large_objects_are_copied_in_several_parts() -> None:
    gib = 2**30
    parts = plan_parts([CopiedObject("a", gib + 1)], min_part=5 * 2**20)
    assert len(parts) == 4
    assert isinstance(parts[-1], ObjectRange)
    assert parts[-1].end == gib + 1


def test_small_days_are_one_part() -> None:
    segments: list[Segment] = [Literal(b"h"), CopiedObject("a", 2), Literal(b"t")]
    assert plan_parts(segments, min_part=MIN) == [ReadPart([b"h", ObjectRange("a", 0, 2), b"t"])]
