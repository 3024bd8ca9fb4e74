"""The bytes of a download's members, inflated at the speed of zlib.

zipfile inflates in small pieces; what it knows of a member is used, and the pieces are large.
"""

from __future__ import annotations

import zipfile
import zlib
from itertools import chain
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.download_check import (
    damage_told,
    open_day,
    open_download,
    open_zip,
    refuse_unreadable,
    stored_content,
)
from telemetry_exhaust.errors import DownloadError
from telemetry_exhaust.file_part import FilePart
from telemetry_exhaust.manifest import FailedDay
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

_READ: Final = 256 * 1024
_GZIP: Final = 31  # the window of zlib, in the frame of gzip
_GZIP_MARK: Final = b"\x1f\x8b"
_MOST: Final = 4 * 1024 * 1024  # bytes that come out of one piece


def day_members(path: Path) -> Iterator[tuple[date, str, Iterator[bytes]]]:
    """Return the members of a download, day by day, each with its name, and its bytes in large pieces.

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
                    yield day.day, member.filename, _pieces(content, inner, member, path)


def plain_members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Return the members of a zip without a manifest, such as that of one day, and of the zips in it.

    Raises:
        DownloadError: it is no zip, or damaged; what came before is right.
    """
    with open_zip(path) as (file, outer):
        yield from _members_of(path, FilePart(file, 0, path.stat().st_size), outer, "")


def unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return bytes as they are, or what is in them when they are gzip.

    Raises:
        EOFError: they end too early.
        zlib.error: they are damaged.
    """
    first = next(pieces, b"")
    if not first.startswith(_GZIP_MARK):
        yield first
        yield from pieces
        return
    inflate = zlib.decompressobj(_GZIP)
    for piece in chain((first,), pieces):
        pending = piece
        while pending:
            if inflate.eof:  # gzip files may stand one behind the other
                inflate = zlib.decompressobj(_GZIP)
            yield inflate.decompress(pending, _MOST)
            pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise EOFError("it ends too early")


def _members_of(
    path: Path, content: FilePart, opened: zipfile.ZipFile, within: str
) -> Iterator[tuple[str, Iterator[bytes]]]:
    for member in opened.infolist():
        if member.is_dir():
            continue
        refuse_unreadable(path, member)
        name = f"{within}{member.filename}"
        if member.filename.endswith(".zip") and not within:
            with opened.open(member) as stored:
                packed = FilePart(stored, 0, member.file_size)
                with zipfile.ZipFile(packed) as inner:
                    yield from _members_of(path, packed, inner, f"{name}/")
            continue
        yield name, _content(content, opened, member, path)


def _content(content: FilePart, opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    with damage_told(path):
        yield from unpacked(_pieces(content, opened, member, path))


def _pieces(content: FilePart, inner: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    with damage_told(path):
        with inner.open(member):  # reads the local header, and refuses one that disagrees
            pass
        part = stored_content(content, member)
        crc = 0
        deflated = member.compress_type == zipfile.ZIP_DEFLATED
        for piece in _inflated(part) if deflated else iter(lambda: part.read(_READ), b""):
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
