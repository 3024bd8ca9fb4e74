"""The inflater turns the stored bytes of an object, plain, gzip or zstd, into pieces of bounded size."""

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

    from services.aggregator.scan.size_guard import SizeGuard

MAX_PIECE_BYTES: Final = 512 * 1024
# A decompressor is fed at most this much at once. It copies what lies behind the end of a member, so that larger slices
# would make an object of very many tiny members cost the square of its size.
_SLICE_BYTES: Final = 64 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1
# Of a frame, or of one of 16 kinds of skippable frames (RFC 8878, 3.1.1 and 3.1.2).
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes((kind,)) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))
_ZSTD_WINDOW_LOG: Final = 24  # 16 MiB; RFC 8878 asks for 8 MiB at least, and only zstd --ultra makes more
_GZIP_WBITS: Final = 31  # of zlib: a gzip header and trailer around the largest window
CorruptStreamError: Final[type[Exception]] = isal_zlib.IsalError  # type: ignore[assignment]  # stub: an instance


class _Decompressor(Protocol):
    """The decompressor of one compressed member."""

    @property
    def eof(self) -> bool:
        """True when the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the end of the member."""

    @property
    def needs_input(self) -> bool:
        """True when more output needs more input."""

    def decompress(self, data: bytes) -> bytes:
        """Return at most MAX_PIECE_BYTES bytes more."""


class _Gzip:
    """One gzip member. The library checks checksum and length at its end."""

    def __init__(self) -> None:
        self._stream = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes) -> bytes:
        piece: bytes = self._stream.decompress(self._stream.unconsumed_tail + data, MAX_PIECE_BYTES)
        # A full piece may leave output behind in the library although all input went in.
        self.needs_input = not self._stream.unconsumed_tail and len(piece) < MAX_PIECE_BYTES
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
    def needs_input(self) -> bool:
        return self._stream.needs_input

    def decompress(self, data: bytes) -> bytes:
        return self._stream.decompress(data, MAX_PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class _Format:
    """A compressed format.

    Attributes:
        padding: bytes that may stand behind a member.
    """

    name: str
    magics: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    padding: bytes
    open: Callable[[], _Decompressor]

    def fits(self, name: str, start: bytes) -> bool:
        """Return True for an object of this name that starts like this."""
        return name.endswith(self.suffixes) or start.startswith(self.magics)

    def may_begin(self, start: bytes) -> bool:
        """Return True when a member can start with these bytes, however few they are."""
        return any(magic.startswith(start[: len(magic)]) for magic in self.magics)


_FORMATS: Final = (
    _Format("gzip", (GZIP_MAGIC,), (".gz", ".gzip"), b"\0", _Gzip),
    _Format("zstd", _ZSTD_MAGICS, (".zst", ".zstd"), b"", _Zstd),
)
_MAX_MAGIC_BYTES: Final = max(len(magic) for each in _FORMATS for magic in each.magics)


class Inflater:
    """The inflater of one object.

    An object is compressed when it begins like a compressed one or its name says so. Several members in a row are one
    stream (RFC 1952, 2.2; RFC 8878, 3), and zero bytes behind the last gzip member are padding.
    """

    def __init__(self, name: str, guard: SizeGuard) -> None:
        self._name = name
        self._guard = guard
        self._started = False
        self._pending = b""  # the first bytes, until a magic number is whole
        self._format: _Format | None = None
        self._member: _Decompressor | None = None
        self._members = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the pieces of a chunk, each of at most MAX_PIECE_BYTES.

        Raises:
            SourceObjectError: the stream is corrupt, or exceeds a limit.
        """
        self._guard.stored += len(chunk)
        data = self._pending + chunk if self._pending else chunk
        self._pending = b""
        if not self._started and len(data) < _MAX_MAGIC_BYTES:
            self._pending = data
            return
        yield from self._pieces(data)

    def finish(self) -> Iterator[bytes]:
        """Yield the pieces that are left when the object has ended.

        Raises:
            SourceObjectError: it ended in the middle of a compressed stream.
        """
        data, self._pending = self._pending, b""
        if data:
            yield from self._pieces(data)
        if self._member is not None:
            raise self._guard.unreadable("the compressed stream ends in the middle")

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if not self._started:
            self._started = True
            self._format = next((each for each in _FORMATS if each.fits(self._name, data)), None)
        known = self._format
        size = MAX_PIECE_BYTES if known is None else _SLICE_BYTES
        for start in range(0, len(data), size):
            part = data[start : start + size]
            if known is None:
                yield self._guard.check(part)
            else:
                yield from self._inflate(known, part)

    def _inflate(self, known: _Format, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = data.lstrip(known.padding) if self._members else data
                if not data:
                    return
                if not known.may_begin(data):
                    raise self._guard.unreadable(f"the {known.name} stream is corrupt: no member begins")
                self._guard.check_member()
                self._member = known.open()
                self._members += 1
            member = self._member
            try:
                piece = member.decompress(data)
                while piece:
                    yield self._guard.check(piece)
                    piece = b"" if member.needs_input or member.eof else member.decompress(b"")
            except (CorruptStreamError, ZstdError) as error:
                raise self._guard.unreadable(f"the {known.name} stream is corrupt: {error}") from error
            data = member.unused_data
            if member.eof:
                self._member = None
