"""What the page of a request shows of its archive: the manifest and the first events, by ranged reads within bounds."""

from __future__ import annotations

import asyncio
import io
import struct
import zipfile
import zlib
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from exhaust.errors import ErrorCode, ExhaustError, unavailable
from services.gateway.shares import Share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore

MANIFEST: Final = "manifest.json"
# Of an archive; the second is read when the manifest does not fit into the first.
TAILS: Final = (256 * 1024, 8 * 1024**2)
HEAD: Final = 512 * 1024  # of a day archive
MOST_EVENTS: Final = 20
MOST_INFLATED: Final = 2 * 1024**2
LONGEST_LINE: Final = 4096  # characters that are shown
READ_WITHIN: Final = timedelta(seconds=5)  # all that a page needs of an archive
# Readings at once, each of which may hold a TAIL in memory.
READS_PER_KEY: Final = 4
MAX_READS: Final = 16
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_SIGNATURE: Final = b"PK\x03\x04"
_DEFLATED: Final = 8


class ArchiveReader:
    """Reads the ends of archives."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._share = Share("looks into downloads", per_holder=READS_PER_KEY, total=MAX_READS)

    async def manifest(self, key: str, user_id: int) -> Mapping[str, Any] | None:
        """Return the manifest of a download; None when it is too large to be shown.

        Args:
            key: of the download.
            user_id: who looks.

        Raises:
            ExhaustError: RATE_LIMITED, SERVICE_UNAVAILABLE also when it takes longer than READ_WITHIN.
            ObjectMissingError: the download has expired.
        """
        async with self._looking(user_id):
            info = await self._objects.head(self._bucket, key)
            found = await self._directory(info)
            return None if found is None else orjson.loads(found.read(MANIFEST))

    async def first_events(self, key: str, user_id: int) -> list[str]:
        """Return the first lines of the first day of a download that has any, each cut to LONGEST_LINE.

        Args:
            key: of the download.
            user_id: who looks.

        Raises:
            ExhaustError: as from `manifest`; INTERNAL_ERROR when the archive cannot be read, or its manifest is too
                large.
            ObjectMissingError: the download has expired.
        """
        async with self._looking(user_id):
            return await self._first_events(key)

    @asynccontextmanager
    async def _looking(self, user_id: int) -> AsyncIterator[None]:
        with self._share.hold(user_id):
            try:
                async with asyncio.timeout(READ_WITHIN.total_seconds()):
                    yield
            except TimeoutError as error:
                raise unavailable("the store") from error

    async def _first_events(self, key: str) -> list[str]:
        info = await self._objects.head(self._bucket, key)
        archive = await self._directory(info)
        if archive is None:
            raise ExhaustError(ErrorCode.INTERNAL_ERROR, "the manifest is too large to be read here")
        days = orjson.loads(archive.read(MANIFEST))["days"]
        named = next((f"{day['day']}.zip" for day in days if day.get("events")), None)
        if named is None:
            return []
        start = archive.getinfo(named).header_offset
        return first_lines(await self._read(info, start, min(info.size, start + HEAD)))

    async def _directory(self, info: ObjectInfo) -> zipfile.ZipFile | None:
        for tail in TAILS:
            start = max(0, info.size - tail)
            content = _Tail(await self._read(info, start, info.size), start)
            try:
                archive = zipfile.ZipFile(content)
                if archive.getinfo(MANIFEST).header_offset >= start:
                    return archive
            except _OutsideError:
                continue
        return None

    async def _read(self, info: ObjectInfo, start: int, end: int) -> bytes:
        async with aclosing(self._objects.stream(self._bucket, info, start=start, end=end)) as chunks:
            return b"".join([chunk async for chunk in chunks])


class _OutsideError(Exception):
    """The directory lies before the bytes that were read."""


class _Tail(io.RawIOBase):
    """A file of whose bytes only the last are there."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self._start = start
        self._place = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._start + len(self._content)}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        if self._place < self._start:
            raise _OutsideError
        begin = self._place - self._start
        found = self._content[begin:] if size < 0 else self._content[begin : begin + size]
        self._place += len(found)
        return found


def first_lines(start: bytes) -> list[str]:
    """Return the first lines of a day archive of which the first bytes are given, from its header in the download on.

    Raises:
        ExhaustError: INTERNAL_ERROR: these are no such bytes.
    """
    lines: list[str] = []
    for content in _members(start[_length_of_header(start) :]):
        for line in content.split(b"\n"):
            if line.strip():
                text = line.decode(errors="replace")
                lines.append(text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…")
            if len(lines) == MOST_EVENTS:
                return lines
    return lines


def _members(archive: bytes) -> Iterator[bytes]:
    """Inflate the members of a zip one after the other, without the line that is cut at the end."""
    left = MOST_INFLATED
    while len(archive) >= _LOCAL_HEADER.size and archive.startswith(_SIGNATURE) and left > 0:
        if _LOCAL_HEADER.unpack_from(archive)[3] != _DEFLATED:
            raise _unreadable()
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflater.decompress(archive[_length_of_header(archive) :], left)
        except zlib.error as error:
            raise _unreadable() from error
        left -= len(content)
        yield content if inflater.eof else content[: content.rfind(b"\n") + 1]
        archive = inflater.unused_data if inflater.eof else b""


def _length_of_header(archive: bytes) -> int:
    if len(archive) < _LOCAL_HEADER.size or not archive.startswith(_SIGNATURE):
        raise _unreadable()
    *_, name, extra = _LOCAL_HEADER.unpack_from(archive)
    return int(_LOCAL_HEADER.size + name + extra)


def _unreadable() -> ExhaustError:
    return ExhaustError(ErrorCode.INTERNAL_ERROR, "the events cannot be shown here; download the archive")
