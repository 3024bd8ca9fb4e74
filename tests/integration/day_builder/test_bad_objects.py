"""Objects that are refused: the day fails and names them."""

from __future__ import annotations

import bz2
import gzip
import os
import sys
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.errors import ErrorCode, SourceObjectError
from tests.integration.day_builder.conftest import LATER, MIB, NAME, ODD_KEYS, SOUND
from tests.support.raw_dataset import CHANNEL, DAY, RawDataset, event, packed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_zstd_object_that_is_cut_is_named(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.zst", zstd.compress(event())[:-2])
    with pytest.raises(SourceObjectError, match=NAME) as raised:
        await shared.build()
    assert raised.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE


@pytest.mark.parametrize("odd", ODD_KEYS)
async def test_a_bad_object_is_named_whatever_its_characters(shared: RawDataset, odd: str) -> None:
    await shared.put(f"2026-11-01-{odd}.gz", SOUND[:-3])
    with pytest.raises(SourceObjectError) as raised:
        await shared.build()
    assert raised.value.source_object == f"{shared.dataset.prefix}2026-11-01-{odd}.gz"


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
    "gzip in gzip": (packed(SOUND), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "bzip2 in gzip": (packed(bz2.compress(event())), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "UTF-16": (packed(event().decode().encode("utf-16")), ErrorCode.SOURCE_OBJECT_UNREADABLE),
    "zero bytes in two gzip members": (packed(bytes(9)) + packed(bytes(9)), ErrorCode.SOURCE_OBJECT_UNREADABLE),
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
    "one line": (b"\0", "times its size"),
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
        "max_line_bytes": 1024,
        "max_object_bytes": 10_000,
        "max_ratio": 5,
        "ratio_grace_bytes": 4000,
    }
    fine = {packed(event() * 2): 0, packed(b" " * 1023 + b"\n"): 0, packed(b" " * 1024 + b"\n"): 1}
    refused = {
        "holds more than 10000 bytes": packed(*(event(filler=os.urandom(40).hex()) for _ in range(80))),
        "more than 5 times its size": packed(event() * 60),
    }
    for data, unreadable in fine.items():
        dataset = new_dataset(**limits)
        await dataset.put(f"{NAME}.gz", data)
        assert (await dataset.build()).summary.unreadable == unreadable
    for reason, data in refused.items():
        dataset = new_dataset(**limits)
        await dataset.put(f"{NAME}.gz", data)
        with pytest.raises(SourceObjectError, match=reason) as raised:
            await dataset.build()
        assert raised.value.code is ErrorCode.LIMIT_EXCEEDED


async def test_other_days_of_a_broken_day_are_fine(shared: RawDataset) -> None:
    next_day = DAY + timedelta(days=1)
    await shared.put(f"{NAME}.gz", SOUND[:-1])
    await shared.put(f"{next_day}-1793577600000.json.gz", packed(event()))
    with pytest.raises(SourceObjectError):
        await shared.build()
    assert (await shared.build(day=next_day)).summary.events == 1
