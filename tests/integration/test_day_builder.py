"""Day archives from raw objects on a real S3: which objects are taken, what leaves, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import sys
import tempfile
import tracemalloc
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local.independent_count import Wanted, count_object, expected_lines
from exhaust.domain.catalogue import Layout
from exhaust.errors import ErrorCode, ExhaustError, SourceObjectError
from telemetry.resource_ids import resource_id
from tests.support.raw_dataset import CHANNEL, DAY, MINE, RawDataset, event, packed, record_key
from tests.support.signed_s3 import delete_object

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exhaust.s3.store import Objects
    from exhaust.settings import ObjectSettings
    from services.aggregator.archive.day_record import DayRecord

NAME = "2026-11-01-1793491200000.json"
LATER = "2026-11-01-1793494800000.json"
MIB = 1024 * 1024


@pytest.fixture
def new_dataset(objects: Objects, object_settings: ObjectSettings) -> Callable[..., RawDataset]:
    def new(layout: Layout = Layout.SHARED, **limits: object) -> RawDataset:
        return RawDataset.new(objects, object_settings, layout, **limits)

    return new


@pytest.fixture
def shared(new_dataset: Callable[..., RawDataset]) -> RawDataset:
    return new_dataset()


@pytest.fixture
def by_resource(new_dataset: Callable[..., RawDataset]) -> RawDataset:
    return new_dataset(Layout.RESOURCE)


# The shared layout.


async def test_of_all_partners_objects_the_resources_lines_leave_byte_for_byte(shared: RawDataset) -> None:
    odd = b'  {"eid" : "X", "context":{ "channel":"in.channel.mine" }}\t\r\n'
    await shared.put(f"{LATER}.gz", packed(event(3), event(4, channel="other")))
    await shared.put(f"{NAME}.gz", packed(event(1), event(2, channel="other"), b"junk\n", odd))
    await shared.put("2026-11-01-1793498400000.json.gz", packed(event(5, channel="other")))
    built = await shared.build()
    assert not built.reused
    assert await shared.members(built.record) == {NAME: event(1) + odd, LATER: event(3)}
    record = built.record
    assert (record.day, record.events, record.unreadable) == (DAY, 3, 1)
    assert record.bytes == len(event(1) + odd + event(3))
    assert [(source.object.rpartition("/")[2], source.events) for source in record.sources] == [
        (f"{NAME}.gz", 2),
        (f"{LATER}.gz", 1),
        ("2026-11-01-1793498400000.json.gz", 0),
    ]
    assert (record.first_received, record.last_received) == ("2026-11-01T00:00:00.000Z", "2026-11-01T01:00:00.000Z")
    await agrees_with_itself(shared, record)


async def agrees_with_itself(dataset: RawDataset, record: DayRecord) -> None:
    data = await dataset.archive(record)
    await begins_with_its_header(dataset, record)
    assert record.size == len(data)
    assert record.crc32 == zlib.crc32(data)
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert record.key.startswith(f"days/{dataset.dataset.id}/")
    assert await dataset.archives() == [record.key, record_key(record)]


async def begins_with_its_header(dataset: RawDataset, record: DayRecord) -> None:
    """What lies in the bucket is a member of a download: APPNOTE.TXT 4.3.7, stored, without descriptor or extra."""
    found = await dataset.objects.get(dataset.settings.s3_exhaust_bucket, record.key)
    name = f"{record.day}.zip".encode()
    fields = struct.unpack("<4s2xHH4x3L2H", found[:30])
    assert fields == (b"PK\3\4", 0, 0, record.crc32, record.size, record.size, len(name), 0)
    assert found[30 : -record.size] == name


async def test_tags_choose_among_the_resources_events(shared: RawDataset) -> None:
    lines = [event(1, tags=("a", "b")), event(2, tags=("c",)), event(3), event(4, channel="other", tags=("a",))]
    await shared.put(f"{NAME}.gz", packed(*lines))
    built = [await shared.build(tags=tags) for tags in [("a",), ("c", "b"), ("b", "c"), ("none",), ()]]
    found = [(await shared.members(day.record)).get(NAME) for day in built]
    assert found == [lines[0], lines[0] + lines[1], lines[0] + lines[1], None, b"".join(lines[:3])]
    assert [day.reused for day in built] == [False, False, True, False, False]


async def test_a_dataset_by_its_alias_shares_the_archives(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    first = await shared.build()
    wanted = shared.wanted().model_copy(update={"datasetid": shared.dataset.aliases[0]})
    second = await shared.build_wanted(wanted)
    assert second.reused
    assert second.record == first.record


async def test_an_unknown_dataset_is_an_internal_error(shared: RawDataset) -> None:
    with pytest.raises(ExhaustError) as raised:
        await shared.build_wanted(shared.wanted().model_copy(update={"datasetid": "no-such"}))
    assert raised.value.code is ErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize("layout", list(Layout))
async def test_an_empty_day_is_a_valid_empty_archive(new_dataset: Callable[..., RawDataset], layout: Layout) -> None:
    dataset = new_dataset(layout)
    built = await dataset.build()
    assert await dataset.members(built.record) == {}
    assert (built.record.events, built.record.bytes, built.record.sources) == (0, 0, ())
    assert (built.record.first_received, built.record.last_received) == (None, None)
    await agrees_with_itself(dataset, built.record)
    assert (await dataset.build()).reused


async def test_only_the_days_own_objects_are_taken(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    neighbours = [
        "2026-11-011-1793491200000.json.gz",
        "2026-11-01.json.gz",
        "2026-11-01T-1.json.gz",
        "2026-11-02-1793577600000.json.gz",
        "2026-10-31-1793404800000.json.gz",
        "x2026-11-01-1.json.gz",
        "deeper/2026-11-01-1793491200000.json.gz",
        "2026-11-01-folder/2026-11-01-1793491200000.json.gz",
    ]
    for name in neighbours:
        await shared.put(name, packed(event()))
    await shared.objects.put(
        shared.settings.s3_raw_bucket, f"{shared.dataset.prefix.rstrip('/')}-other/{NAME}.gz", packed(event())
    )
    built = await shared.build()
    assert [source.object for source in built.record.sources] == [f"{shared.dataset.prefix}{NAME}.gz"]


# The resource layout.

SHA1 = hashlib.sha1(CHANNEL.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("folder", [CHANNEL, SHA1[:32], SHA1, SHA1.upper()])
async def test_a_folder_may_be_named_in_every_form_of_the_resource(by_resource: RawDataset, folder: str) -> None:
    content = event(1) + b"junk\n" + event(2, channel="whatever it says") + b"\n[1]"
    await by_resource.put(f"{folder}/{NAME}.gz", packed(content))
    await by_resource.put(f"somebody-else/{NAME}.gz", packed(event()))
    built = await by_resource.build()
    assert await by_resource.members(built.record) == {NAME: content}
    assert (built.record.events, built.record.unreadable, built.record.bytes) == (2, 2, len(content))


async def test_a_folder_may_have_lost_its_leading_zero(by_resource: RawDataset) -> None:
    partner = "org.ekstep.partner.p3"
    full = hashlib.sha1(partner.encode(), usedforsecurity=False).hexdigest()
    assert full.startswith("0")
    await by_resource.put(f"{full[1:]}/{NAME}.gz", packed(event()))
    built = await by_resource.build(resource=resource_id(partner))
    assert await by_resource.members(built.record) == {NAME: event()}


async def test_an_opaque_resource_is_its_folders_name(by_resource: RawDataset) -> None:
    await by_resource.put(f"public/{NAME}.gz", packed(event(1)))
    await by_resource.put(f"publicity/{NAME}.gz", packed(event(2)))
    await by_resource.put(f"PUBLIC/{NAME}.gz", packed(event(3)))
    built = await by_resource.build(resource="public")
    assert await by_resource.members(built.record) == {NAME: event(1)}


async def test_folders_of_one_resource_come_together(by_resource: RawDataset) -> None:
    for folder, number in ((CHANNEL, 1), (SHA1[:32], 2), (SHA1, 3)):
        await by_resource.put(f"{folder}/{NAME}.gz", packed(event(number)))
    built = await by_resource.build()
    members = await by_resource.members(built.record)
    keys = sorted(f"{by_resource.dataset.prefix}{folder}/{NAME}.gz" for folder in (CHANNEL, SHA1[:32], SHA1))
    assert [source.object for source in built.record.sources] == keys
    assert sorted(members.values()) == [event(1), event(2), event(3)]
    assert list(members) == [NAME, NAME.replace(".json", "-2.json"), NAME.replace(".json", "-3.json")]


async def test_tags_choose_among_a_folders_events(by_resource: RawDataset) -> None:
    tagged = event(1, channel="whatever it says", tags=("a",))
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", packed(tagged, b"junk\n", event(2)))
    built = await by_resource.build(tags=("a",))
    assert await by_resource.members(built.record) == {NAME: tagged}
    assert (built.record.events, built.record.unreadable) == (1, 1)


async def test_neighbours_of_a_folder_are_not_taken(by_resource: RawDataset) -> None:
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", packed(event()))
    for name in (f"{CHANNEL}/deeper/{NAME}.gz", f"{CHANNEL}.x/{NAME}.gz", f"{CHANNEL}/2026-11-011-1.gz", f"{NAME}.gz"):
        await by_resource.put(name, packed(event()))
    built = await by_resource.build()
    assert [source.object for source in built.record.sources] == [f"{by_resource.dataset.prefix}{CHANNEL}/{NAME}.gz"]


# Content addressing.


async def test_a_day_that_was_built_is_found_and_nothing_is_written(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    first = await shared.build()
    sentinel = b"written by the test over the archive"
    await shared.objects.put(shared.settings.s3_exhaust_bucket, first.record.key, sentinel)
    second = await shared.build()
    assert second.reused
    assert second.record == first.record
    assert await shared.archive(second.record) == sentinel
    assert len(await shared.archives()) == 2


async def test_an_archive_without_its_record_is_built_again(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    first = await shared.build()
    await shared.objects.put(shared.settings.s3_exhaust_bucket, first.record.key, b"half an arch")
    await delete_object(shared.settings, shared.settings.s3_exhaust_bucket, record_key(first.record))
    again = await shared.build()
    assert not again.reused
    assert again.record == first.record
    assert await shared.members(again.record) == {NAME: event()}


async def test_new_and_replaced_objects_give_new_archives(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event(1)))
    first = await shared.build()
    await shared.put(f"{LATER}.gz", packed(event(2)))
    second = await shared.build()
    await shared.put(f"{NAME}.gz", packed(event(3)))
    third = await shared.build()
    await shared.put(f"{NAME}.gz", packed(event(1)))
    fourth = await shared.build()
    assert len({built.record.key for built in (first, second, third)}) == 3
    assert fourth.reused
    assert fourth.record == second.record
    assert [await shared.members(built.record) for built in (first, second, third)] == [
        {NAME: event(1)},
        {NAME: event(1), LATER: event(2)},
        {NAME: event(3), LATER: event(2)},
    ]


async def test_the_same_inputs_give_the_same_bytes(new_dataset: Callable[..., RawDataset]) -> None:
    lines = [event(number, filler=hashlib.sha256(str(number).encode()).hexdigest()) for number in range(20_000)]
    archives = []
    for _ in range(2):
        dataset = new_dataset()
        await dataset.put(f"{LATER}.gz", packed(event()))
        await dataset.put(f"{NAME}.gz", packed(*lines))
        archives.append(await dataset.archive((await dataset.build()).record))
    assert archives[0] == archives[1]


async def test_without_a_folder_for_temporary_files_the_day_can_be_tried_again(
    shared: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    with monkeypatch.context() as away:
        away.setattr(tempfile, "tempdir", str(tmp_path / "away"))
        with pytest.raises(ExhaustError, match="cannot keep its temporary files") as raised:
            await shared.build()
    assert raised.value.retryable
    assert await shared.archives() == []
    assert (await shared.build()).record.events == 1


async def test_a_day_of_several_upload_parts_is_whole(shared: RawDataset) -> None:
    noise = [event(number, filler=os.urandom(512).hex()) for number in range(17_000)]
    await shared.put(f"{NAME}.gz", packed(*noise[:9000]))
    await shared.put(f"{LATER}.gz", packed(*noise[9000:]))
    built = await shared.build()
    assert built.record.size > 8 * MIB
    assert "-" in (await shared.objects.head(shared.settings.s3_exhaust_bucket, built.record.key)).etag
    members = await shared.members(built.record)
    assert members[NAME] == b"".join(noise[:9000])
    assert members[LATER] == b"".join(noise[9000:])
    await agrees_with_itself(shared, built.record)


# Objects that are odd, and still fine.

ODD: dict[str, bytes] = {
    "empty object": b"",
    "empty gzip": packed(),
    "no newline at the end": packed(event(1), event(2).rstrip()),
    "blank lines": packed(b"\n", event(), b" \t\r\n", b"\n"),
    "carriage returns": packed(event(1).replace(b"\n", b"\r\n"), event(2).replace(b"\n", b"\r\n")),
    "byte order mark": packed(b"\xef\xbb\xbf" + event(1), event(2)),
    "byte order marks anywhere": packed(b"\xef\xbb\xbf\n", event(1), b"\xef\xbb\xbf" + event(2), b"\xef\xbb\xbf"),
    "NUL": packed(event(1), b"\0\n", event(2)[:-1] + b"\0\n", b'{"eid":"a\0b"}\n'),
    "NUL in an escape": packed(event(filler="\0")),
    "invalid UTF-8": packed(event(1).replace(b"IMP", b"\xff\xfe"), event(2), b"\xc3\n"),
    "arrays": packed(b"[]\n", b"[" + event(1)[:-1] + b"]\n", event(2)),
    "batch envelope": packed(b'{"id":"ekstep.telemetry","events":[' + event(1)[:-1] + b"]}\n", event(2)),
    "NaN": packed(b'{"eid":NaN,"context":{"channel":"in.channel.mine"}}\n', event(1)),
    "lone surrogate": packed(event(1).replace(b"IMPRESSION", rb"\ud800")),
    "numbers of any length": packed(event(1).replace(b'"mid": "1"', b'"mid": ' + b"9" * 5000)),
    "infinite numbers": packed(event(1).replace(b'"mid": "1"', b'"mid": 1e999')),
    "deep nesting": packed(event(1).replace(b'"mid": "1"', b'"mid": ' + b"[" * 900 + b"]" * 900)),
    "deeper nesting than can be read": packed(event(1).replace(b'"mid": "1"', b'"mid": ' + b"[" * 9000 + b"]" * 9000)),
    "repeated keys": packed(b'{"eid":"A","context":{"channel":"other"},"context":{"channel":"in.channel.mine"}}\n'),
    "channel in escapes": packed(event(1).replace(b"in.channel", rb"\u0069\u006e.channel")),
    "zero bytes behind the gzip": packed(event()) + bytes(700),
    "several gzip members": packed(event(1)) + packed() + packed(event(2)),
    "a line over two gzip members": packed(event(1)[:20]) + packed(event(1)[20:]),
    "a line of a mebibyte": packed(event(filler="x" * (MIB - len(event())))),
}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_objects_give_what_an_independent_reading_gives(shared: RawDataset, kind: str) -> None:
    await shared.put(f"{NAME}.gz", ODD[kind])
    built = await shared.build()
    wanted = Wanted(MINE)
    count = count_object(f"{NAME}.gz", ODD[kind], wanted)
    [source] = built.record.sources
    assert (source.events, source.bytes, source.unreadable) == (count.events, count.bytes, count.unreadable)
    expected = b"".join(expected_lines(ODD[kind], wanted))
    assert await shared.members(built.record) == ({NAME: expected} if expected else {})


@pytest.mark.parametrize("kind", ODD)
async def test_odd_objects_pass_whole_where_they_belong_to_the_resource(by_resource: RawDataset, kind: str) -> None:
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", ODD[kind])
    built = await by_resource.build()
    count = count_object(f"{NAME}.gz", ODD[kind], Wanted(MINE, whole_objects=True))
    assert (built.record.events, built.record.bytes, built.record.unreadable) == (
        count.events,
        count.bytes,
        count.unreadable,
    )
    content = gzip.decompress(ODD[kind])
    assert await by_resource.members(built.record) == ({NAME: content} if content else {})


async def test_an_object_without_compression_is_read_as_it_is(shared: RawDataset) -> None:
    await shared.put(NAME, event(1) + b"junk\n" + event(2))
    await shared.put(LATER, b"{")
    built = await shared.build()
    assert await shared.members(built.record) == {NAME: event(1) + event(2)}
    assert built.record.unreadable == 2


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("name", [f"{NAME}.zst", f"{NAME}.zstd", NAME])
async def test_a_zstd_object_is_read_whatever_its_name(
    new_dataset: Callable[..., RawDataset], layout: Layout, name: str
) -> None:
    dataset = new_dataset(layout)
    folder = "" if layout is Layout.SHARED else f"{CHANNEL}/"
    lines = [event(number) for number in range(2000)]
    await dataset.put(f"{folder}{name}", zstd.compress(b"".join(lines[:900])) + zstd.compress(b"".join(lines[900:])))
    built = await dataset.build()
    assert list((await dataset.members(built.record)).values()) == [b"".join(lines)]
    assert built.record.events == 2000


async def test_a_zstd_object_that_is_cut_is_named(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.zst", zstd.compress(event())[:-2])
    with pytest.raises(SourceObjectError, match=NAME) as raised:
        await shared.build()
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE


ODD_KEYS = [
    "a b",
    "a+b",
    "100%",
    "%2F%20",
    "Ünïcode-名",
    '"quoted"',
    "it's",
    "a&b=c?d#e",
    "<tag>",
    "~!@$^*()",
]


@pytest.mark.parametrize("layout", list(Layout))
async def test_keys_may_hold_any_character(new_dataset: Callable[..., RawDataset], layout: Layout) -> None:
    dataset = new_dataset(layout)
    folder = "" if layout is Layout.SHARED else f"{CHANNEL}/"
    names = {f"2026-11-01-{odd}.json.gz": event(number) for number, odd in enumerate(ODD_KEYS)}
    for name, line in names.items():
        await dataset.put(folder + name, packed(line))
    built = await dataset.build()
    assert {source.object: source.events for source in built.record.sources} == dict.fromkeys(
        (f"{dataset.dataset.prefix}{folder}{name}" for name in names), 1
    )
    assert sorted((await dataset.members(built.record)).values()) == sorted(names.values())
    assert (await dataset.build()).reused


@pytest.mark.parametrize("odd", ODD_KEYS)
async def test_a_bad_object_is_named_whatever_its_characters(shared: RawDataset, odd: str) -> None:
    await shared.put(f"2026-11-01-{odd}.gz", SOUND[:-3])
    with pytest.raises(SourceObjectError) as raised:
        await shared.build()
    assert raised.value.source_object == f"{shared.dataset.prefix}2026-11-01-{odd}.gz"


async def test_thousands_of_gzip_members_are_one_object(shared: RawDataset) -> None:
    lines = [event(number) for number in range(2000)]
    await shared.put(f"{NAME}.gz", b"".join(packed(line) for line in lines))
    built = await shared.build()
    assert await shared.members(built.record) == {NAME: b"".join(lines)}


# Objects that are refused.

SOUND = packed(*(event(number) for number in range(50)))
BAD: dict[str, tuple[bytes, ErrorCode]] = {
    "one byte": (SOUND[:1], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut in its header": (SOUND[:5], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut in the middle": (SOUND[: len(SOUND) // 2], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut before its checksum": (SOUND[:-8], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut in its checksum": (SOUND[:-5], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut by one byte": (SOUND[:-1], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "cut in its second member": (SOUND + SOUND[:40], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "wrong checksum": (SOUND[:-8] + b"\0\1\2\3" + SOUND[-4:], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "wrong length": (SOUND[:-4] + b"\0\1\2\3", ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "trailing garbage": (SOUND + b"garbage", ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "one byte of garbage": (SOUND + b"\x1f", ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "garbage behind zero bytes": (SOUND + bytes(9) + b"x", ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "damaged inside": (SOUND[:60] + bytes([SOUND[60] ^ 255]) + SOUND[61:], ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "no gzip": (event(), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "zstd by another name": (zstd.compress(event()), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "only zero bytes": (bytes(100), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "line too long": (packed(event(filler="x" * (MIB + 1 - len(event())))), ErrorCode.LIMIT_EXCEEDED),
    "last line too long": (packed(event(filler="x" * MIB).rstrip()), ErrorCode.LIMIT_EXCEEDED),
}


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_object_fails_the_day_and_is_named(
    new_dataset: Callable[..., RawDataset], layout: Layout, kind: str
) -> None:
    dataset = new_dataset(layout)
    folder = "" if layout is Layout.SHARED else f"{CHANNEL}/"
    data, code = BAD[kind]
    await dataset.put(f"{folder}{NAME}.gz", SOUND)
    await dataset.put(f"{folder}{LATER}.gz", data)
    with pytest.raises(SourceObjectError) as raised:
        await dataset.build()
    assert raised.value.code is code
    assert raised.value.source_object == f"{dataset.dataset.prefix}{folder}{LATER}.gz"
    assert LATER in raised.value.message
    assert not raised.value.retryable
    assert await dataset.archives() == []


async def test_a_bad_object_behind_parts_that_were_sent_leaves_nothing(shared: RawDataset) -> None:
    noise = packed(*(event(0, filler=os.urandom(512).hex()) for _ in range(17_000)))
    await shared.put(f"{NAME}.gz", noise)
    await shared.put(f"{LATER}.gz", noise[:-1])
    with pytest.raises(SourceObjectError, match=LATER):
        await shared.build()
    assert await shared.archives() == []


BOMBS = {
    "one line": (b"\0", "line"),
    "many lines": (b"x" * 999 + b"\n", "times its size"),
    "many blank lines": (b" " * 999 + b"\n", "times its size"),
}


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_refused_in_little_memory(new_dataset: Callable[..., RawDataset], kind: str) -> None:
    content, reason = BOMBS[kind]
    dataset = new_dataset(ratio_grace_bytes=16 * MIB)
    await dataset.put(f"{NAME}.gz", packed(event()) + gzip.compress(content * (24 * MIB // len(content))))
    tracemalloc.start()
    try:
        with pytest.raises(SourceObjectError, match=reason) as raised:
            await dataset.build()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.code is ErrorCode.LIMIT_EXCEEDED
    assert raised.value.source_object == f"{dataset.dataset.prefix}{NAME}.gz"
    assert peak < 8 * MIB
    assert await dataset.archives() == []


async def test_limits_are_settings(new_dataset: Callable[..., RawDataset]) -> None:
    limits: dict[str, Any] = {
        "max_line_bytes": 300,
        "max_object_bytes": 3000,
        "max_ratio": 5,
        "ratio_grace_bytes": 1000,
    }
    fine = {"lines": packed(event() * 2), "ratio in its grace": packed(b" " * 299 + b"\n")}
    refused = {
        "line": packed(event(filler="x" * 300)),
        "bytes": packed(*(event(filler=os.urandom(40).hex()) for _ in range(20))),
        "ratio": packed(event() * 20),
    }
    for kind, data in (fine | refused).items():
        dataset = new_dataset(**limits)
        await dataset.put(f"{NAME}.gz", data)
        if kind in fine:
            assert not (await dataset.build()).reused
            continue
        with pytest.raises(SourceObjectError) as raised:
            await dataset.build()
        assert raised.value.code is ErrorCode.LIMIT_EXCEEDED, kind


async def test_other_days_of_a_broken_day_are_fine(shared: RawDataset) -> None:
    next_day = DAY + timedelta(days=1)
    await shared.put(f"{NAME}.gz", SOUND[:-1])
    await shared.put(f"{next_day}-1793577600000.json.gz", packed(event()))
    with pytest.raises(SourceObjectError):
        await shared.build()
    assert (await shared.build(day=next_day)).record.events == 1
