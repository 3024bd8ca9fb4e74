"""The writing of a download: its segments become one object, most of them by copies inside the store."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.s3.multipart import MIN_PART_SIZE
from schemas.events import FinishedArchive
from services.aggregator.archive.outer_archive import StoredDay, outer_digest, outer_segments, outer_size
from services.aggregator.archive.part_plan import ObjectRange, ReadPart, plan_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import ObjectStore
    from services.aggregator.archive.day_summary import DaySummary
    from services.aggregator.archive.part_plan import Part

ZIP: Final = "application/zip"


class DownloadWriter:
    """Writes downloads into the bucket of archives."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    async def write(self, key: str, summaries: Sequence[DaySummary], manifest: bytes) -> FinishedArchive:
        """Write the download of some days, and return what it is.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE, or INTERNAL_ERROR when a day archive is not as its summary says.
        """
        segments = outer_segments(
            [StoredDay(summary.day, summary.key, summary.size, summary.crc32) for summary in summaries], manifest
        )
        sha256 = await self._write(key, plan_parts(segments, min_part=MIN_PART_SIZE))
        return FinishedArchive(
            key=key,
            size=outer_size(segments),
            digest=outer_digest(segments, {summary.key: summary.sha256 for summary in summaries}),
            sha256=sha256,
            events=sum(summary.events for summary in summaries),
            bytes=sum(summary.bytes for summary in summaries),
        )

    async def _write(self, key: str, parts: Sequence[Part]) -> str | None:
        """Write the download; return its SHA-256 if all its bytes came through here."""
        if len(parts) == 1 and isinstance(parts[0], ReadPart):
            data = await self._read(parts[0])
            await self._objects.put(self._bucket, key, data, content_type=ZIP)
            return hashlib.sha256(data).hexdigest()
        async with self._objects.multipart_upload(self._bucket, key, ZIP) as upload:
            for part in parts:
                if isinstance(part, ReadPart):
                    await upload.add_part(partial(self._read, part))
                else:
                    await upload.copy_part(await self._head(part), part.start, part.end)
            await upload.complete()
        return None

    async def _read(self, part: ReadPart) -> bytes:
        data = bytearray()
        for piece in part.pieces:
            if isinstance(piece, ObjectRange):
                found = await self._head(piece)
                async with aclosing(
                    self._objects.stream(self._bucket, found, start=piece.start, end=piece.end)
                ) as chunks:
                    async for chunk in chunks:
                        data += chunk
            else:
                data += piece
        return bytes(data)

    async def _head(self, piece: ObjectRange) -> ObjectInfo:
        """Return the object of a range. A store sends fewer bytes than it is asked for without an error."""
        found = await self._objects.head(self._bucket, piece.key)
        if found.size < piece.end:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"{piece.key} has {found.size} bytes, fewer than its summary says"
            )
        return found
