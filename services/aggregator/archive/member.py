"""The bytes of one member of a day archive: deflated, with what the zip has to know of them."""

from __future__ import annotations

from isal import isal_zlib

from services.aggregator.archive.deflate import RawDeflate
from services.aggregator.archive.zip_records import Content


class DeflatedMember:
    """Deflates a member's bytes, and counts them.

    Attributes:
        content: checksum and sizes of what was written; complete after finish.
    """

    def __init__(self) -> None:
        self._deflate = RawDeflate()
        self.content = Content(0, 0, 0)

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take raw bytes; returns what is ready of their deflate stream, often nothing."""
        return self._counted(data, self._deflate.write(data))

    def finish(self) -> bytes:
        """The rest of the deflate stream; nothing may be written afterwards."""
        return self._counted(b"", self._deflate.finish())

    def _counted(self, raw: bytes | bytearray | memoryview, deflated: bytes) -> bytes:
        known = self.content
        self.content = Content(
            isal_zlib.crc32(raw, known.crc32),
            known.compressed_size + len(deflated),
            known.size + memoryview(raw).nbytes,
        )
        return deflated
