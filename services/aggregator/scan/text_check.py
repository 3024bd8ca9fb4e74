"""The check that an object holds text, as one that is compressed twice must not look like an object without events.

The first line shows a format by its magic number. An event anywhere in the beginning proves text, whatever stands
around it: some broken lines do not make a day fail. Without an event the first bytes decide, by how many of them no
text has. Text without any event is text.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from services.aggregator.scan.lines import LineBlock, lines_of
from telemetry.line import decode
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from services.aggregator.scan.lines import Block
    from services.aggregator.scan.size_guard import SizeGuard

# Behind POSIX.1-1988 a tar's magic number stands in the header of its first file.
_MAGIC: Final = re.compile(
    rb"(?P<gzip>\x1f\x8b)|(?P<xz>\xfd7zXZ\0)|(?P<zip>PK(?:\x03\x04|\x05\x06))|(?P<tar>.{257}ustar)"
    rb"|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90))"  # a block follows, or the end
    rb"|(?P<zstd>\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)",  # a frame, or one that is skipped
    re.DOTALL,
)
_LONGEST_MAGIC: Final = 1024  # of which zlib, which has no magic number, is tried to be inflated
_LEAST_ZLIB: Final = 16
_DEFLATE: Final = 8  # zlib's number of the method
_REPLACEMENT: Final = "\ufffd"
_SAMPLE_BYTES: Final = 64 * 1024
_SEARCHED_BYTES: Final = 4 * 1024 * 1024  # for an event, beside lines that are too long
# Of the sample. In UTF-16 half of what JSON is made of are zero bytes, and fewer in texts of other scripts; in anything
# that is compressed nearly half of the bytes are no UTF-8. A line of an old encoding has fewer.
_MAX_ZERO_BYTES: Final = 1 / 8
_MAX_NO_UTF8: Final = 1 / 4


class TextCheck:
    """The check of one object.

    Attributes:
        is_decided: True when nothing more has to be fed.
        has_events: False when there is no event in what was searched.
    """

    def __init__(self, guard: SizeGuard) -> None:
        self._guard = guard
        self._sample = bytearray()
        self._searched = 0
        self.is_decided = False
        self.has_events = False

    def feed(self, block: Block) -> None:
        """Check the next block, until the check is decided.

        Raises:
            SourceObjectError: SOURCE_OBJECT_UNREADABLE; the object is no text.
        """
        if not self._sample:
            self._check_magic(block.data)
        self._sample += block.data[: _SAMPLE_BYTES - len(self._sample)]
        if not isinstance(block, LineBlock):
            return
        for _, line in lines_of(block.data):
            self._searched += len(line)
            self.has_events = is_event(decode(line))
            if self.has_events or self._searched > _SEARCHED_BYTES:
                self.finish()
                return

    def finish(self) -> None:
        """Decide, as the object has ended or enough of it was searched.

        Raises:
            SourceObjectError: SOURCE_OBJECT_UNREADABLE; the object is no text.
        """
        if self.is_decided:
            return
        self.is_decided = True
        sample = bytes(self._sample)
        if not self.has_events and _is_no_text(sample):
            raise self._guard.unreadable("the content is no text")

    def _check_magic(self, start: bytes) -> None:
        """Check the bytes that an object begins with, at least its first line."""
        first_line = start[: start.find(b"\n") + 1 or _LONGEST_MAGIC][:_LONGEST_MAGIC]
        found = _MAGIC.match(first_line)
        if found is not None or _is_zlib(first_line):
            name = found.lastgroup if found is not None else "zlib"
            raise self._guard.unreadable(f"the content is no text but {name}")


def _is_zlib(start: bytes) -> bool:
    """Return True for the beginning of a zlib stream (RFC 1950, 2.2)."""
    if len(start) < _LEAST_ZLIB or start[0] & 0x0F != _DEFLATE or int.from_bytes(start[:2], "big") % 31:
        return False
    try:
        zlib.decompressobj().decompress(start)
    except zlib.error:
        return False
    return not start.isascii() or not start.rstrip().decode().isprintable()


def _is_no_text(sample: bytes) -> bool:
    no_utf8 = sample.decode(errors="replace").count(_REPLACEMENT) - sample.count(_REPLACEMENT.encode())
    return sample.count(0) > len(sample) * _MAX_ZERO_BYTES or no_utf8 > len(sample) * _MAX_NO_UTF8
