import gzip
import hashlib
import io
import json
import zipfile
from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.independent_count import Wanted, count_object
from exhaust.archive.day_archive import DayArchiveWriter
from exhaust.catalogue import Dataset, Layout
from exhaust.object_info import ObjectInfo
from services.aggregator.inflating import InflateLimits
from services.aggregator.selecting import Selection
from services.aggregator.source_filter import SourceFilter
from telemetry.resource_ids import resource_id

DAY = date(2026, 11, 1)
LIMITS = InflateLimits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**20)
CHANNEL = "in.example"


def dataset(layout: Layout = Layout.SHARED, kinds: frozenset[str] = frozenset()) -> Dataset:
    return Dataset(id="d", prefix="d/", layout=layout, event_kinds=kinds, retention_days=1)


def event(channel: str = CHANNEL, **more: object) -> bytes:
    return json.dumps({"eid": "START", "ver": "3.0", "context": {"channel": channel}, **more}).encode() + b"\n"


def run(lines: bytes, selection: Selection, *, cuts: tuple[int, ...] = ()) -> tuple[dict[str, bytes], SourceFilter]:
    stored = gzip.compress(lines, mtime=0)
    writer = DayArchiveWriter(DAY)
    chain = SourceFilter(ObjectInfo("d/x.json.gz", "e", len(stored)), "x.json", writer, selection, LIMITS, 2**20)
    edges = [0, *sorted(cut % (len(stored) + 1) for cut in cuts), len(stored)]
    archive = b"".join(chain.feed(stored[start:end]) for start, end in pairwise(edges))
    archive += chain.finish() + writer.finish()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}, chain


def select(lines: bytes, *, of: Dataset | None = None, tags: tuple[str, ...] = ()) -> tuple[bytes | None, int, int]:
    """What leaves (None: no member), how many events, how many unreadable lines."""
    members, chain = run(lines, Selection(of or dataset(), resource_id(CHANNEL), tags, "in.ekstep"))
    return members.get("x.json"), chain.record().events, chain.record().unreadable


def test_only_the_resources_lines_leave_and_byte_for_byte() -> None:
    odd = b'  {"ver" : "3.0","context":{"channel":"in.ex\\u0061mple"}, "eid":"X", "n":1.0e2}\r\n'
    lines = event() + event("other") + odd + event("other") + event().rstrip(b"\n")
    assert select(lines) == (event() + odd + event().rstrip(b"\n"), 3, 0)


def test_an_object_without_a_matching_event_makes_no_member() -> None:
    assert select(event("other")) == (None, 0, 0)


def test_unreadable_lines_are_counted_and_blank_ones_are_not() -> None:
    lines = b"junk\n\n  \n[1]\n" + b'{"events":[]}\n' + event()
    assert select(lines) == (event(), 1, 3)


def test_an_object_that_belongs_to_the_resource_passes_whole() -> None:
    lines = b"junk\n\n" + event("other") + b"\xff\n"
    assert select(lines, of=dataset(Layout.RESOURCE)) == (lines, 1, 2)


def test_tags_filter_what_belongs_to_the_resource() -> None:
    lines = b"junk\n" + event("other", tags=["a"]) + event(tags=["b"])
    assert select(lines, of=dataset(Layout.RESOURCE), tags=("a", "x")) == (event("other", tags=["a"]), 1, 1)
    assert select(lines, tags=("a", "x")) == (None, 0, 1)


def test_a_dataset_may_allow_only_some_event_kinds() -> None:
    lines = event() + event(eid="END")
    assert select(lines, of=dataset(kinds=frozenset({"END"}))) == (event(eid="END"), 1, 0)


LINES = st.lists(
    st.sampled_from([event(), event("other"), event(tags=["a"]), b"junk\n", b"\n", b'{"eid":"\\ud800","ver":"1.0"}\n'])
).map(b"".join)


@given(LINES, st.lists(st.integers(0, 500), max_size=3), st.sampled_from([(), ("a",)]))
def test_whatever_the_lines_and_chunks_the_independent_count_agrees(
    lines: bytes, cuts: list[int], tags: tuple[str, ...]
) -> None:
    members, chain = run(lines, Selection(dataset(), resource_id(CHANNEL), tags, "in.ekstep"), cuts=tuple(cuts))
    expected = count_object("x.json.gz", gzip.compress(lines), Wanted(resource_id(CHANNEL), tags))
    record = chain.record()
    assert (record.events, record.bytes, record.unreadable) == (expected.events, expected.bytes, expected.unreadable)
    assert hashlib.sha256(members.get("x.json", b"")).hexdigest() == expected.sha256
