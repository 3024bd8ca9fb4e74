"""The scan of one object gives the same lines and counts however it is cut, and whichever shortcut is taken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.independent_count import Wanted, count_object
from exhaust.errors import SourceObjectError
from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.scan.gzip_passthrough import SeveralMembersError
from services.aggregator.scan.line_numbers import LineNumberFinder, LineNumberJob
from services.aggregator.scan.lines import LineBlock
from services.aggregator.scan.selector import Selection, Selector
from services.aggregator.scan.size_guard import SourceLimits
from services.aggregator.scan.source_scan import ScanJob, SourceScan
from services.aggregator.scan.whole_object_counter import WholeObjectCounter
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.aggregator.scan.scan_stats import ScanStats
    from services.aggregator.scan.source_scan import ScanResult

LIMITS = SourceLimits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**20, max_members=100, max_line=2**20)
CHANNEL = "in.example"
DEFAULT = "in.ekstep"
WHOLE = Selection(None, None, (), frozenset(), DEFAULT)


def selection(
    owner: str = CHANNEL, tags: tuple[str, ...] = (), *, known: bool = True, kinds: frozenset[str] = frozenset()
) -> Selection:
    return Selection(resource_id(owner), owner if known else None, tags, kinds, DEFAULT)


def event(channel: str = CHANNEL, **more: object) -> bytes:
    return json.dumps({"eid": "START", "ver": "3.0", "context": {"channel": channel}, **more}).encode() + b"\n"


def scan(
    stored: bytes,
    selections: Sequence[Selection],
    *,
    cuts: Sequence[int] = (),
    recompress: bool = False,
    limits: SourceLimits = LIMITS,
) -> tuple[list[bytes | None], list[ScanResult]]:
    """For each selection what its member inflates to (None: no member), and what was counted."""
    scanning = SourceScan(ScanJob("x.json.gz", limits, selections, recompress=recompress))
    streams = [b"" for _ in selections]
    edges = [0, *sorted(cut % (len(stored) + 1) for cut in cuts), len(stored)]
    chunks = [stored[start:end] for start, end in pairwise(edges) if start < end]
    for chunk in chunks:
        ready = scanning.feed(chunk)
        passed = chunk[ready.passthrough.start : ready.passthrough.end]
        streams = [
            stream + more + (passed if not index else b"")
            for index, (stream, more) in enumerate(zip(streams, ready.deflated, strict=True))
        ]
    last, scanned = scanning.finish()
    streams = [stream + more for stream, more in zip(streams, last.deflated, strict=True)]
    return [unzipped(stream, each) for stream, each in zip(streams, scanned, strict=True)], scanned


def unzipped(stream: bytes, scanned: ScanResult) -> bytes | None:
    """A member as an unzipper gives it, which checks it."""
    if scanned.content is None:
        assert stream == b""
        return None
    writer = DayArchiveWriter(date(2026, 11, 1))
    archive = writer.begin_member("x") + writer.add(stream) + writer.end_member(scanned.content)
    with zipfile.ZipFile(io.BytesIO(archive + writer.finish())) as opened:
        return opened.read("x")


def numbers(stored: bytes, offsets: Sequence[int], cut: int = 7) -> list[int]:
    """The numbers of the lines at these inflated offsets."""
    numbering = LineNumberFinder(LineNumberJob("x.json.gz", LIMITS, offsets))
    for start in range(0, len(stored), cut):
        numbering.feed(stored[start : start + cut])
    found = numbering.finish()[1]
    return [found[offset] for offset in offsets]


def select(lines: bytes, wanted: Selection) -> tuple[bytes | None, int, int]:
    """What leaves, how many events, how many unreadable lines."""
    [data], [scanned] = scan(gzip.compress(lines), [wanted])
    return data, scanned.stats.events, scanned.stats.unreadable


@pytest.mark.parametrize("known", [True, False])
def test_only_lines_of_the_resource_are_selected_byte_for_byte(*, known: bool) -> None:
    odd = b'  {"ver" : "3.0","context":{"channel":"in.ex\\u0061mple"}, "eid":"X", "n":1.0e2}\r\n'
    lines = event() + event("other") + odd + event("other") + event().rstrip(b"\n")
    assert select(lines, selection(known=known)) == (event() + odd + event().rstrip(b"\n"), 3, 0)


def test_an_object_without_a_matching_event_makes_no_member() -> None:
    assert select(event("other"), selection()) == (None, 0, 0)


def test_unreadable_lines_are_counted_and_blank_ones_are_not() -> None:
    lines = b"junk\n\n  \n[1]\n" + b'{"events":[]}\n' + event()
    assert select(lines, selection(known=False)) == (event(), 1, 3)


def test_for_a_known_owner_only_unreadable_lines_that_hold_its_id_count() -> None:
    lines = (
        b'junk\n{"context":{"channel":"in.example"}}\n' + event() + b'{"eid":"X","context":{"channel":"in.example"\n'
    )
    [data], [scanned] = scan(gzip.compress(lines), [selection()])
    assert (data, scanned.stats.unreadable) == (event(), 2)
    assert numbers(gzip.compress(lines), scanned.stats.unreadable_offsets) == [2, 4]


def test_an_object_that_belongs_to_the_resource_passes_whole() -> None:
    lines = b"junk\n\n" + event("other") + b"\xff\n"
    assert select(lines, WHOLE) == (lines, 1, 2)


def test_tags_filter_what_belongs_to_the_resource() -> None:
    lines = b"junk\n" + event("other", tags=["a"]) + event(tags=["b"])
    tagged = Selection(None, None, ("a", "x"), frozenset(), DEFAULT)
    assert select(lines, tagged) == (event("other", tags=["a"]), 1, 1)
    assert select(lines, selection(tags=("a", "x"))) == (None, 0, 0)


def test_a_dataset_may_allow_only_some_event_kinds() -> None:
    lines = event() + event(eid="END")
    assert select(lines, selection(kinds=frozenset({"END"}))) == (event(eid="END"), 1, 0)


def test_times_and_versions_of_events_are_counted() -> None:
    lines = event(mid="a", ets=2000) + event(mid="b", ets=1000.7, ver="2.1") + event(mid="a") + event(mid="")
    [_], [scanned] = scan(gzip.compress(lines), [WHOLE])
    stats: ScanStats = scanned.stats
    assert (stats.events, stats.versions) == (4, {"3.0": 3, "2.1": 1})
    assert (stats.first_event_ms, stats.last_event_ms) == (1000, 2000)


@given(st.lists(st.sampled_from([b"\n", b"a\n", b"bb\n"]), min_size=1), st.integers(1, 50))
def test_lines_are_numbered_by_their_offsets(lines: list[bytes], cut: int) -> None:
    offsets = [len(b"".join(lines[:number])) for number in range(len(lines))]
    assert numbers(gzip.compress(b"".join(lines)), offsets, cut) == list(range(1, len(lines) + 1))


# Lines that are too long.

SHORT = replace(LIMITS, max_line=80)
TOO_LONG = event(filler="x" * 100)


@given(st.lists(st.sampled_from([event(), event("other"), b"\n", b"j" * 200 + b"\n", TOO_LONG]), max_size=8), st.data())
def test_a_line_that_is_too_long_is_passed_over_and_counted_with_its_place(
    lines: list[bytes], data: st.DataObject
) -> None:
    lines += [event(), data.draw(st.sampled_from([b"", event().rstrip(), TOO_LONG.rstrip()]))]
    stored, cuts = gzip.compress(b"".join(lines)), data.draw(st.lists(st.integers(0, 500), max_size=6))
    wanted = b"".join(line for line in lines if CHANNEL.encode() in line and len(line) <= SHORT.max_line)
    long_lines = [number for number, line in enumerate(lines, 1) if len(line) > SHORT.max_line]
    for each in (selection(known=True), selection(known=False), selection("nobody")):
        [found], [scanned] = scan(stored, [each], cuts=cuts, limits=SHORT)
        assert found == (wanted if each != selection("nobody") else None)
        assert numbers(stored, scanned.stats.unreadable_offsets) == long_lines
    for recompress in (False, True):
        [found], [scanned] = scan(stored, [WHOLE], cuts=cuts, limits=SHORT, recompress=recompress)
        assert found == b"".join(lines)
        assert numbers(stored, scanned.stats.unreadable_offsets) == long_lines


def test_a_line_without_end_takes_little_memory() -> None:
    limits = replace(LIMITS, max_ratio=2000)
    piece = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunks = [piece.compress(event() + b'"'), *(piece.compress(b"x" * 2**20) for _ in range(256)), piece.flush()]
    for wanted in (selection(known=False), selection(), WHOLE, Selection(None, None, ("a",), frozenset(), DEFAULT)):
        scanning = SourceScan(ScanJob("x.json.gz", limits, [wanted], recompress=True))
        tracemalloc.start()
        for chunk in filter(None, chunks):
            scanning.feed(chunk)
        _, [scanned] = scanning.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert scanned.stats.unreadable_offsets == [len(event())]
        assert peak < 6 * 2**20


# Passthrough.


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("cuts", [(), (1,), (5, 9, 10, 11), range(1, 400)])
def test_a_gzip_object_passes_as_the_stream_it_is(level: int, cuts: Sequence[int]) -> None:
    lines = b"".join(event(mid=hashlib.sha256(bytes([n])).hexdigest()) for n in range(100))
    stored = gzip.compress(lines, level) + bytes(3)
    [data], [scanned] = scan(stored, [WHOLE], cuts=[*cuts, 2] if 1 in cuts else cuts)
    assert data == lines
    assert scanned.content is not None
    assert scanned.stats.events == 100
    if 1 not in cuts:  # a first chunk of one byte does not show that it is gzip
        assert scanned.content.compressed_size == len(stored) - 3 - 10 - 8


def test_header_fields_of_other_writers_are_not_passed_on() -> None:
    body = gzip.compress(event())
    extra = body[:3] + b"\x1e" + body[4:10] + b"\x04\x00AB\0\0" + b"name.json\0" + b"a comment\0" + b"\0\0" + body[10:]
    for cuts in ((), range(2, 60)):
        assert scan(extra, [WHOLE], cuts=cuts)[0] == [event()]


@pytest.mark.parametrize("wanted", [WHOLE, selection()])
@pytest.mark.parametrize("events", [0, 1, 2, 3])
def test_the_ids_of_all_events_come_out_at_the_end(wanted: Selection, events: int) -> None:
    scanning = SourceScan(ScanJob("x.json.gz", LIMITS, [wanted]))
    outputs = [scanning.feed(gzip.compress(b"".join(event(mid=f"m{n}") for n in range(events)))), scanning.finish()[0]]
    hashes = b"".join(packed for output in outputs for taken in output.id_hashes for packed in taken.values())
    expected = [hash(f"m{n}").to_bytes(8, "little", signed=True) for n in range(events)]
    assert sorted(hashes[at : at + 8] for at in range(0, len(hashes), 8)) == sorted(expected)


def test_the_last_line_of_an_object_that_passes_needs_no_newline() -> None:
    _, [scanned] = scan(gzip.compress(event() + event()[:-1]), [WHOLE])
    assert scanned.stats.events == 2


def test_an_object_that_passes_may_begin_with_a_mebibyte_of_nothing_and_no_more() -> None:
    header, empty_block = gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
    rest = gzip.compress(event())[10:]
    for blocks, refused in ((2**20 // 5, False), (2**20 // 5 + 1, True)):
        scanning = SourceScan(ScanJob("x.json.gz", LIMITS, [WHOLE]))
        assert scanning.feed(header).deflated == [b""]
        if refused:
            with pytest.raises(SourceObjectError, match="goes on without content"):
                scanning.feed(empty_block * blocks)
        else:
            assert scanning.feed(empty_block * blocks).deflated == [b""]
            assert scanning.feed(rest).deflated == [empty_block * blocks]


def test_several_gzip_members_have_to_be_recompressed() -> None:
    stored = gzip.compress(event()) + gzip.compress(event("other"))
    with pytest.raises(SeveralMembersError):
        scan(stored, [WHOLE])
    assert scan(stored, [WHOLE], recompress=True)[0] == [event() + event("other")]


@pytest.mark.parametrize("stored", [event() * 3, zstd.compress(event() * 3)], ids=["plain", "zstd"])
def test_objects_that_are_no_gzip_are_selected_whole_too(stored: bytes) -> None:
    scanning = SourceScan(ScanJob("x.json", LIMITS, [WHOLE]))
    deflated = scanning.feed(stored).deflated[0]
    last, [scanned] = scanning.finish()
    assert unzipped(deflated + last.deflated[0], scanned) == event() * 3


@pytest.mark.parametrize("stored", [b"", gzip.compress(b"")])
def test_an_object_that_holds_nothing_makes_no_member(stored: bytes) -> None:
    assert scan(stored, [WHOLE])[0] == [None]


ODD = [
    event(mid="a"),
    event(mid="\ud800"),
    b'{"eid":null,"ets":5,"mid":7}\r\n',
    b'{"eid":"A","mid":{"x":[1]},"ver":[3]}\n',
    b'{"eid":"A","ets":' + b"9" * 400 + b"}\n",
    b'\xef\xbb\xbf{"eid":"A","ts":"2016-04-27T13:03:11+05:30"}\n',
    b'{"ver":"3.0"}\n',
    b"[" * 2000 + b"]" * 2000 + b"\n",
    b'{"eid":NaN}\n',
    b'{"eid":"\xff"}\n',
    b'{"eid":1} x\n',
    b"5\n",
    b" \t\n",
    b"\n",
]


@given(st.lists(st.sampled_from(ODD), max_size=12).map(b"".join))
def test_a_whole_object_is_counted_as_if_every_line_were_decoded(lines: bytes) -> None:
    everything = Selection(None, None, (), frozenset(), DEFAULT)
    decoding, counting = Selector([everything]), WholeObjectCounter()
    block = LineBlock(0, lines)
    decoding.select(block)
    decoding.flush()
    counting.select(block)
    [expected], [found] = decoding.stats, counting.stats
    assert (found.events, found.unreadable_offsets, found.versions) == (
        expected.events,
        expected.unreadable_offsets,
        expected.versions,
    )
    assert (found.first_event_ms, found.last_event_ms, found.id_hashes.take()) == (
        expected.first_event_ms,
        expected.last_event_ms,
        expected.id_hashes.take(),
    )


# Against an independent reading.

OWNERS = (CHANNEL, DEFAULT, "a/b", 'quo"te', "ümläut", "other")


def written(owner: str, style: int) -> str:
    """A JSON string, in one of the ways in which it can be written."""
    plain = json.dumps(owner, ensure_ascii=bool(style & 1))
    return plain.replace("/", "\\/").replace("in", "\\u0069n") if style & 2 else plain


def sha1(owner: str) -> str:
    return hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest().upper()


def line_of(owner: str, style: int, kind: int, tag: str) -> bytes:
    text = written(owner, style)
    shapes = [
        f'{{"eid":"A","ver":"3.0","context":{{"channel":{text}}},"tags":["{tag}"]}}',
        f'{{"ver":"3.1" , "context":{{"cdata":[{{"id":{text},"type":"PartNer"}}]}},"eid":"A","tags":["{tag}"]}}',
        f'{{"eid":"A","ver":"1.0","tags":[{{"partnerid":[{text}]}}]}}',
        f'{{"eid":"A","ver":"2.2","etags":{{"partner":{text},"app":["{tag}"]}},"channel":"x"}}',
        f'{{"eid":"A","metadata":{{"partner_name":"{sha1(owner)}"}}}}',
        f'{{"eid":"A","ver":"2.0","channel":{text},"channel":"other"}}',
        f'{{"ver":"3.0","context":{{"channel":{text}}}}}',
        f'{{"eid":"A","ver":"3.0","context":{{"channel":{text}',
        "junk",
        "",
    ]
    return shapes[kind % len(shapes)].encode() + (b"\r\n" if style & 4 else b"\n")


LINES = st.lists(
    st.builds(line_of, st.sampled_from(OWNERS), st.integers(0, 7), st.integers(0, 9), st.sampled_from("ab")),
    max_size=12,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(LINES, st.lists(st.integers(0, 500), max_size=3), st.sampled_from(OWNERS), st.sampled_from([(), ("a",)]))
def test_whatever_the_lines_and_chunks_the_independent_count_agrees(
    lines: bytes, cuts: list[int], owner: str, tags: tuple[str, ...]
) -> None:
    stored = gzip.compress(lines)
    expected = count_object("x.json.gz", stored, Wanted(resource_id(owner), tags, default_channel=DEFAULT))
    for known in (True, False):
        [data], [scanned] = scan(stored, [selection(owner, tags, known=known)], cuts=cuts)
        assert hashlib.sha256(data or b"").hexdigest() == expected.sha256
        assert scanned.stats.events == expected.events
        if not known:
            assert scanned.stats.unreadable == expected.unreadable


@settings(max_examples=100, deadline=None)
@given(LINES, st.lists(st.tuples(st.sampled_from(OWNERS), st.booleans()), min_size=1, max_size=14))
def test_a_shared_scan_gives_each_what_a_scan_alone_gives(lines: bytes, wanted: list[tuple[str, bool]]) -> None:
    stored = gzip.compress(lines)
    selections = [selection(owner, known=known) for owner, known in wanted]
    together, counted = scan(stored, selections)
    for each, data, scanned in zip(selections, together, counted, strict=True):
        [alone], [counted_alone] = scan(stored, [each])
        assert data == alone
        assert scanned.stats.events == counted_alone.stats.events
        assert scanned.stats.unreadable_offsets == counted_alone.stats.unreadable_offsets
