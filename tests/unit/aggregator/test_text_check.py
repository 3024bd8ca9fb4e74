"""An object that is no text is refused, however its bytes arrive; odd text is not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
import zlib
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.scan.lines import LineCutter
from services.aggregator.scan.size_guard import SizeGuard, SourceLimits
from services.aggregator.scan.text_check import TextCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UTF = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
LIMITS = SourceLimits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**20, max_members=100, max_line=2**16)
EVENT = b'{"eid":"START","ver":"3.0","context":{"channel":"in.example"}}\n'
SOUND = b"".join(EVENT[:-2] + b',"mid":"%d"}\n' % number for number in range(40))


def zipped(data: bytes, method: int) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as archive:
        archive.writestr("events.json", data)
    return buffer.getvalue()


def tarred(data: bytes, form: int) -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w", format=form) as archive:
        entry = tarfile.TarInfo("events.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def encoded(encoding: str, data: bytes) -> bytes:
    return data.decode().encode(encoding)


def hindi(encoding: str, data: bytes) -> bytes:
    text = "\u0939\u093f\u0928\u094d\u0926\u0940 \u0a15\u0a30\u0a0a" * 6
    return data.decode().replace("in.example", text).encode(encoding)


NO_TEXT: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "bzip2 of nothing": lambda _: bz2.compress(b""),
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
    "zstd, skipped frame": lambda data: b"\x50\x2a\x4d\x18\x04\0\0\0\n\n\n\n" + zstd.compress(data),
    "zip": lambda data: zipped(data, zipfile.ZIP_DEFLATED),
    "zip, stored": lambda data: b"PK\x03\x04\n\0" + zipped(data, zipfile.ZIP_STORED)[6:],
    "empty zip": lambda _: b"PK\x05\x06" + bytes(18),
    "tar": lambda data: tarred(data, tarfile.USTAR_FORMAT),
    "GNU tar": lambda data: tarred(data, tarfile.GNU_FORMAT),
    "pax": lambda data: tarred(data, tarfile.PAX_FORMAT),
    **{f"zlib {level}": partial(zlib.compress, level=level) for level in (1, 4, 6, 9)},
    **{encoding: partial(encoded, encoding) for encoding in UTF},
    **{f"{encoding} of Hindi": partial(hindi, encoding) for encoding in UTF},
    "zero bytes": lambda _: bytes(4096),
    "one line of zero bytes": lambda _: bytes(100_000),
    "lines of zero bytes": lambda _: (bytes(100) + b"\n") * 100,
    "upper half": lambda _: bytes(range(128, 256)) * 40,
    "noise": lambda _: os.urandom(300_000),
    "a little noise": lambda data: zlib.compress(data)[8:],
}
TEXT: dict[str, bytes] = {
    "nothing": b"",
    "events": SOUND,
    "no event": b"hello\n" * 3,
    "a byte order mark": b"\xef\xbb\xbf" + SOUND,
    "one zero byte": b'{"eid":"a\0b"}\n',
    "Latin-1": b'{"eid":"caf\xe9"}\n',
    "broken lines before good ones": b"\xff\xfe\xfd\n" + bytes(5000) + b"\n" + b"\x80" * 2000 + b"\n" + EVENT,
    "a broken line that is too long": bytes(100_000) + b"\n" + EVENT,
    "a line that is too long": b'{"eid":"' + b"x" * 100_000 + b'"}\n',
    "a line like zip": EVENT + b"PK\x03\x04\n",
    "a line like bzip2": b"BZh9 is a name\n" + EVENT,
    "a line like zlib": b"x^ is no zlib, though it begins alike\n" + EVENT,
    "ustar where a tar has it": EVENT + b" " * (257 - len(EVENT)) + b"ustar\n",
    "Gurmukhi": ("\u0a15\u0a30\n" * 500).encode(),
    "carriage returns": SOUND.replace(b"\n", b"\r\n"),
}


def check(content: bytes, cuts: Sequence[int] = ()) -> TextCheck:
    checked, cutter = TextCheck(SizeGuard("raw/x", LIMITS)), LineCutter(LIMITS.max_line)
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    blocks = [block for start, end in pairwise(edges) for block in cutter.feed(content[start:end])]
    for block in [*blocks, *cutter.finish()]:
        if not checked.is_decided:
            checked.feed(block)
    checked.finish()
    return checked


@pytest.mark.parametrize("kind", NO_TEXT)
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=5))
def test_what_is_no_text_is_refused_and_named(kind: str, cuts: list[int]) -> None:
    with pytest.raises(SourceObjectError, match="raw/x: the content is no text") as refused:
        check(NO_TEXT[kind](SOUND), cuts)
    assert refused.value.code is ErrorCode.SOURCE_OBJECT_UNREADABLE


@pytest.mark.parametrize("kind", TEXT)
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=5))
def test_odd_text_is_text(kind: str, cuts: list[int]) -> None:
    assert check(TEXT[kind], cuts).has_events == any(b'"eid":"START"' in line for line in TEXT[kind].splitlines())


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd", "zip", "tar"])
def test_a_format_is_told_by_its_name(kind: str) -> None:
    with pytest.raises(SourceObjectError, match=f"no text but {kind}"):
        check(NO_TEXT[kind](SOUND))


def test_an_event_far_behind_is_not_searched_for() -> None:
    with pytest.raises(SourceObjectError):
        check((bytes(1000) + b"\n") * 5000 + EVENT)
    assert not check(b"junk\n" * 2**20 + EVENT).has_events


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5))
def test_the_cuts_decide_nothing(content: bytes, cuts: list[int]) -> None:
    assert told(content, cuts) == told(content)


@given(st.text())
def test_unicode_text_without_zero_bytes_is_text(content: str) -> None:
    written = json.dumps(content, ensure_ascii=False).encode(errors="replace")
    assert not check(written).has_events


def told(content: bytes, cuts: Sequence[int] = ()) -> bool | None:
    try:
        return check(content, cuts).has_events
    except SourceObjectError:
        return None


@pytest.mark.parametrize(("odd", "most"), [(b"\0", 10), (b"\xff", 20)])
def test_an_eighth_of_zero_bytes_and_a_quarter_of_no_utf8_is_text_and_no_more(odd: bytes, most: int) -> None:
    assert told(odd * most + b"x" * (80 - most)) is False
    assert told(odd * (most + 1) + b"x" * (79 - most)) is None


def test_replacement_characters_that_were_written_are_text() -> None:
    assert told("\ufffd".encode() * 100) is False


def test_the_first_64_kib_decide() -> None:
    line = b"x" * 1023 + b"\n"
    for zeros, expected in ((8192, False), (8193, None)):
        content = bytes(zeros) + b"\n" + line * 100
        assert told(content) is expected
        assert told(content, [1000, 5000, 70_000]) is expected
    assert told(line * 64 + bytes(64_000) + b"\n") is False


def test_a_zlib_stream_is_told_from_16_bytes_on() -> None:
    streams = {
        len(packed): packed for n in range(20) if b"\n" not in (packed := zlib.compress(bytes(range(128, 128 + n)), 0))
    }
    assert "but zlib" in complaint(streams[16])
    assert "but zlib" in complaint(streams[18])
    assert "but zlib" not in complaint(streams[15])


def test_an_event_is_searched_for_in_4_mib() -> None:
    junk = (bytes(1023) + b"\n") * 4096  # 4 MiB of what is no text, but for an event
    assert told(junk[1024:] + EVENT) is True
    assert told(junk + EVENT) is True
    assert told(junk + b"\n" + EVENT) is True  # an empty line is none
    assert told(junk + b"1\n" + EVENT) is None


def complaint(content: bytes) -> str:
    try:
        check(content)
    except SourceObjectError as refused:
        return refused.message
    return ""
