"""Odd objects that can be read all the same."""

from __future__ import annotations

import gzip
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.local.independent_count import Wanted, count_object, expected_lines
from exhaust.domain.catalogue import Layout
from tests.integration.day_builder.conftest import LATER, MIB, NAME, ODD_KEYS
from tests.support.raw_dataset import CHANNEL, MINE, RawDataset, event, packed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable


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
    "deep nesting": packed(event(1).replace(b'"mid": "1"', b'"mid": ' + b"[" * 799 + b"]" * 799)),
    "deeper nesting than is read": packed(event(1).replace(b'"mid": "1"', b'"mid": ' + b"[" * 800 + b"]" * 800)),
    "repeated keys": packed(b'{"eid":"A","context":{"channel":"other"},"context":{"channel":"in.channel.mine"}}\n'),
    "channel in escapes": packed(event(1).replace(b"in.channel", rb"\u0069\u006e.channel")),
    "zero bytes behind the gzip": packed(event()) + bytes(700),
    "several gzip members": packed(event(1)) + packed() + packed(event(2)),
    "a line over two gzip members": packed(event(1)[:20]) + packed(event(1)[20:]),
    "a line of a mebibyte": packed(event(filler="x" * (MIB - len(event())))),
    "a line of more than a mebibyte": packed(event(1), event(filler="x" * (MIB + 1 - len(event()))), event(2)),
    "a last line of more than a mebibyte": packed(event(1), event(filler="x" * MIB).rstrip()),
    "a long line over two gzip members": packed(event(1), b"x" * 3 * MIB) + packed(b"x" * MIB, b"\n", event(2)),
    "no event at all": packed(b"hello\n" * 3),
}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_objects_give_what_an_independent_reading_gives(shared: RawDataset, kind: str) -> None:
    await shared.put(f"{NAME}.gz", ODD[kind])
    built = await shared.build()
    wanted = Wanted(MINE)
    count = count_object(f"{NAME}.gz", ODD[kind], wanted)
    [source] = built.summary.sources
    assert (source.events, source.bytes, source.unreadable) == (count.events, count.bytes, count.unreadable)
    expected = b"".join(expected_lines(ODD[kind], wanted))
    assert await shared.members(built.summary) == ({NAME: expected} if expected else {})


@pytest.mark.parametrize("kind", ODD)
async def test_odd_objects_pass_whole_where_they_belong_to_the_resource(by_resource: RawDataset, kind: str) -> None:
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", ODD[kind])
    built = await by_resource.build()
    count = count_object(f"{NAME}.gz", ODD[kind], Wanted(MINE, whole_objects=True))
    assert (built.summary.events, built.summary.bytes, built.summary.unreadable) == (
        count.events,
        count.bytes,
        count.unreadable,
    )
    content = gzip.decompress(ODD[kind])
    assert await by_resource.members(built.summary) == ({NAME: content} if content else {})


async def test_an_object_without_compression_is_read_as_it_is(shared: RawDataset) -> None:
    await shared.put(NAME, event(1) + b"junk\n" + event(2))
    await shared.put(LATER, b"{")
    built = await shared.build()
    assert await shared.members(built.summary) == {NAME: event(1) + event(2)}
    assert built.summary.unreadable == 2


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
    assert list((await dataset.members(built.summary)).values()) == [b"".join(lines)]
    assert built.summary.events == 2000


@pytest.mark.parametrize("layout", list(Layout))
async def test_keys_may_hold_any_character(new_dataset: Callable[..., RawDataset], layout: Layout) -> None:
    dataset = new_dataset(layout)
    folder = "" if layout is Layout.SHARED else f"{CHANNEL}/"
    names = {f"2026-11-01-{odd}.json.gz": event(number) for number, odd in enumerate(ODD_KEYS)}
    for name, line in names.items():
        await dataset.put(folder + name, packed(line))
    built = await dataset.build()
    assert {source.object: source.events for source in built.summary.sources} == dict.fromkeys(
        (f"{dataset.dataset.prefix}{folder}{name}" for name in names), 1
    )
    assert sorted((await dataset.members(built.summary)).values()) == sorted(names.values())
    assert (await dataset.build()).reused


async def test_thousands_of_gzip_members_are_one_object(shared: RawDataset) -> None:
    lines = [event(number) for number in range(2000)]
    await shared.put(f"{NAME}.gz", b"".join(packed(line) for line in lines))
    built = await shared.build()
    assert await shared.members(built.summary) == {NAME: b"".join(lines)}
