"""Inflate: the bytes of a raw object, plain or gzip, in pieces of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isal import igzip_lib, isal_zlib

from exhaust.errors import ErrorCode, SourceObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 1024 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1
# The library's stub declares its exception class as an instance.
CorruptStreamError: Final[type[Exception]] = vars(igzip_lib)["IsalError"]
_GZIP_WINDOW: Final = 31  # wbits of zlib: a gzip header and trailer around the largest window


@dataclass(frozen=True, slots=True)
class InflateLimits:
    """What an object may become, in bytes; max_ratio counts from ratio_grace on."""

    max_bytes: int
    max_ratio: int
    ratio_grace: int


class Inflater:
    """Inflates one object that arrives in chunks.

    An object is gzip when it begins like gzip or its name says so; several gzip members in a row are one stream
    (RFC 1952, 2.2), and zero bytes behind the last are padding.
    """

    def __init__(self, name: str, limits: InflateLimits) -> None:
        self._name = name
        self._limits = limits
        self._pending = b""
        self._stream = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        self._is_gzip: bool | None = None
        self._in_member = False
        self._more = False
        self._members = 0
        self._read = 0
        self._given = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The next pieces, each of at most PIECE bytes.

        Raises:
            SourceObjectError: the stream is corrupt, or exceeds a limit.
        """
        self._read += len(chunk)
        self._pending += chunk
        if self._is_gzip is None:
            if len(self._pending) < len(GZIP_MAGIC):
                return
            self._is_gzip = self._name.endswith(".gz") or self._pending.startswith(GZIP_MAGIC)
        yield from self._gunzip() if self._is_gzip else self._plain()

    def finish(self) -> Iterator[bytes]:
        """What is left when the object has ended.

        Raises:
            SourceObjectError: it ended in the middle of a gzip stream.
        """
        if self._in_member or (self._pending and self._name.endswith(".gz")):
            raise self._error(ErrorCode.SOURCE_OBJECT_UNREADABLE, "the gzip stream ends in the middle")
        yield from self._plain()

    def _plain(self) -> Iterator[bytes]:
        piece, self._pending = self._pending, b""
        if piece:
            yield self._checked(piece)

    def _gunzip(self) -> Iterator[bytes]:
        while self._pending or self._more:
            if not self._in_member and not self._open_member():
                return
            piece = self._inflate()
            if piece:
                yield self._checked(piece)

    def _open_member(self) -> bool:
        """Whether another member begins here, and not padding."""
        if self._members:
            self._pending = self._pending.lstrip(b"\0")
        if not self._pending.startswith(GZIP_MAGIC[: len(self._pending)]):
            raise self._error(ErrorCode.SOURCE_OBJECT_UNREADABLE, "the gzip stream is corrupt: no member begins")
        if self._pending:
            self._stream = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
            self._in_member = True
            self._members += 1
        return self._in_member

    def _inflate(self) -> bytes:
        """One step; checksum and length of the member are checked by the library when it ends."""
        try:
            piece: bytes = self._stream.decompress(self._pending, PIECE)
        except CorruptStreamError as error:
            raise self._error(ErrorCode.SOURCE_OBJECT_UNREADABLE, f"the gzip stream is corrupt: {error}") from error
        self._in_member = not self._stream.eof
        self._pending = self._stream.unconsumed_tail if self._in_member else self._stream.unused_data
        # A full piece may leave output behind in the library although all input went in.
        self._more = self._in_member and len(piece) == PIECE
        return piece

    def _checked(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > self._limits.max_bytes:
            raise self._error(ErrorCode.LIMIT_EXCEEDED, f"holds more than {self._limits.max_bytes} bytes")
        if self._given > self._limits.ratio_grace and self._given > self._limits.max_ratio * self._read:
            raise self._error(
                ErrorCode.LIMIT_EXCEEDED, f"inflates to more than {self._limits.max_ratio} times its size"
            )
        return piece

    def _error(self, code: ErrorCode, message: str) -> SourceObjectError:
        return SourceObjectError(code, self._name, f"{message} (at byte {self._read - len(self._pending)} of it)")
