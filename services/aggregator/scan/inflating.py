"""Inflate: the bytes of a raw object, plain, gzip or zstd, in pieces of bounded size."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from isal import isal_zlib

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.aggregator.scan.size_guard import Gauge

PIECE: Final = 512 * 1024
# What a decompressor is given at once. What lies behind the end of a member is copied, so that with larger slices an
# object of very many tiny members would cost the square of its size.
_SLICE: Final = 64 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1
# A frame, or one of 16 kinds of frames to be skipped (RFC 8878, 3.1.1 and 3.1.2).
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes((kind,)) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))
_ZSTD_WINDOW_LOG: Final = 24  # 16 MiB; RFC 8878 asks for 8 MiB at least, and only zstd --ultra makes more
_GZIP_WINDOW: Final = 31  # wbits of zlib: a gzip header and trailer around the largest window
CorruptStreamError: Final[type[Exception]] = isal_zlib.IsalError  # type: ignore[assignment]  # stub: an instance


class _Decompressor(Protocol):
    """What the decompressors of one member share."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """Once it has ended, what stands behind it."""

    @property
    def hungry(self) -> bool:
        """Whether it needs input for more output."""

    def step(self, data: bytes) -> bytes:
        """At most PIECE bytes more."""


class _Gzip:
    """One gzip member; checksum and length are checked by the library at its end."""

    def __init__(self) -> None:
        self._stream = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        self.hungry = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def step(self, data: bytes) -> bytes:
        piece: bytes = self._stream.decompress(self._stream.unconsumed_tail + data, PIECE)
        # A full piece may leave output behind in the library although all input went in.
        self.hungry = not self._stream.unconsumed_tail and len(piece) < PIECE
        return piece


class _Zstd:
    """One zstd frame."""

    def __init__(self) -> None:
        self._stream = ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def hungry(self) -> bool:
        return self._stream.needs_input

    def step(self, data: bytes) -> bytes:
        return self._stream.decompress(data, PIECE)


@dataclass(frozen=True, slots=True)
class _Format:
    """A compressed format.

    Attributes:
        padding: may stand behind a member.
    """

    name: str
    magics: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    padding: bytes
    open: Callable[[], _Decompressor]

    def fits(self, name: str, start: bytes) -> bool:
        """Whether an object of this name that starts like this is of the format."""
        return name.endswith(self.suffixes) or start.startswith(self.magics)

    def may_begin(self, start: bytes) -> bool:
        """Whether a member can start like this; only a few of its bytes may be here."""
        return any(magic.startswith(start[: len(magic)]) for magic in self.magics)


_FORMATS: Final = (
    _Format("gzip", (GZIP_MAGIC,), (".gz",), b"\0", _Gzip),
    _Format("zstd", _ZSTD_MAGICS, (".zst", ".zstd"), b"", _Zstd),
)
_LONGEST_MAGIC: Final = max(len(magic) for each in _FORMATS for magic in each.magics)


class Inflater:
    """Inflates one object that arrives in chunks.

    An object is compressed when it begins like a compressed one or its name says so; several members in a row are one
    stream (RFC 1952, 2.2; RFC 8878, 3), and zero bytes behind the last gzip member are padding.
    """

    def __init__(self, name: str, gauge: Gauge) -> None:
        self._name = name
        self._gauge = gauge
        self._begun = False
        self._pending = b""  # what has come of a magic number
        self._format: _Format | None = None
        self._member: _Decompressor | None = None
        self._members = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The next pieces, each of at most PIECE bytes.

        Raises:
            SourceObjectError: the stream is corrupt, or exceeds a limit.
        """
        self._gauge.stored += len(chunk)
        data = self._pending + chunk if self._pending else chunk
        self._pending = b""
        if not self._begun and len(data) < _LONGEST_MAGIC:
            self._pending = data
            return
        yield from self._pieces(data)

    def finish(self) -> Iterator[bytes]:
        """What is left when the object has ended.

        Raises:
            SourceObjectError: it ended in the middle of a compressed stream.
        """
        data, self._pending = self._pending, b""
        if data:
            yield from self._pieces(data)
        if self._member is not None:
            raise self._gauge.unreadable("the compressed stream ends in the middle")

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if not self._begun:
            self._begun = True
            self._format = next((each for each in _FORMATS if each.fits(self._name, data)), None)
        known = self._format
        size = PIECE if known is None else _SLICE
        for start in range(0, len(data), size):
            part = data[start : start + size]
            if known is None:
                yield self._gauge.piece(part)
            else:
                yield from self._inflate(known, part)

    def _inflate(self, known: _Format, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = data.lstrip(known.padding) if self._members else data
                if not data:
                    return
                if not known.may_begin(data):
                    raise self._gauge.unreadable(f"the {known.name} stream is corrupt: no member begins")
                self._gauge.member()
                self._member = known.open()
                self._members += 1
            member = self._member
            try:
                piece = member.step(data)
                while piece:
                    yield self._gauge.piece(piece)
                    piece = b"" if member.hungry or member.eof else member.step(b"")
            except (CorruptStreamError, ZstdError) as error:
                raise self._gauge.unreadable(f"the {known.name} stream is corrupt: {error}") from error
            data = member.unused_data
            if member.eof:
                self._member = None
