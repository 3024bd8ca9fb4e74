"""The bytes of a download's members, inflated at the speed of zlib.

zipfile inflates in small pieces; what it knows of a member is used, and the pieces are large.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.download_check import open_day, open_download, refuse_unreadable, stored_content
from telemetry_exhaust.errors import DownloadError
from telemetry_exhaust.manifest import FailedDay
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from telemetry_exhaust.file_part import FilePart

_READ: Final = 256 * 1024
_MOST: Final = 4 * 1024 * 1024  # bytes that come out of one piece


def day_members(path: Path) -> Iterator[tuple[date, Iterator[bytes]]]:
    """Return the members of a download, day by day, each as its bytes in large pieces.

    Raises:
        DownloadError: it is no download, or damaged; what came before is right.
    """
    with open_download(path) as (file, download, manifest):
        for day in manifest.days:
            if isinstance(day, FailedDay):
                continue
            with open_day(file, download, day) as (content, inner):
                for member in inner.infolist():
                    refuse_unreadable(path, member)
                    yield day.day, _pieces(content, inner, member, path)


def _pieces(content: FilePart, inner: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    with inner.open(member):  # reads the local header, and refuses one that disagrees
        pass
    part = stored_content(content, member)
    crc = 0
    source = _inflated(part) if member.compress_type == zipfile.ZIP_DEFLATED else iter(lambda: part.read(_READ), b"")
    for piece in source:
        crc = zlib.crc32(piece, crc)
        yield piece
    if crc != member.CRC:
        raise DownloadError(f"{safe_text(path)}: {safe_text(member.filename)} is damaged; download it again")


def _inflated(part: FilePart) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    pending = b""
    while not inflate.eof:
        pending = pending or part.read(_READ)
        if not pending:
            raise EOFError("it ends too early")
        yield inflate.decompress(pending, _MOST)
        pending = inflate.unconsumed_tail
