"""Checks of a downloaded zip against its own manifest: every byte, every event."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date
from typing import IO, TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from exhaust.domain.member_names import MANIFEST_NAME, member_names
from telemetry.line import decode
from telemetry.ownership import is_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK: Final = 1024 * 1024
_MOST_MANIFEST_BYTES: Final = 256 * _CHUNK
# The exceptions of zipfile for bytes that are no zip, or a damaged one.
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

Count = Annotated[int, Field(ge=0)]


class DownloadError(Exception):
    """A file that is no download; the message says what, where and what to do."""


class _Source(BaseModel):
    object: str
    events: Count


class _Day(BaseModel):
    day: date
    events: Count
    bytes: Count
    size: Count
    sha256: str
    sources: list[_Source]


class _Manifest(BaseModel):
    days: list[_Day]


@dataclass(frozen=True, slots=True)
class CheckedDay:
    """The result for one day of a download.

    Attributes:
        events, bytes: as they were counted in the archive.
        problem: what is wrong, or None.
    """

    day: date
    events: int
    bytes: int
    problem: str | None


def check_download(path: Path) -> Iterator[CheckedDay]:
    """Check every day of a download, one after the other.

    Args:
        path: the zip that was downloaded.

    Raises:
        DownloadError: it cannot be read, is no zip, or has no manifest.
    """
    try:
        with zipfile.ZipFile(path) as download:
            manifest = _manifest(download, path)
            expected = [f"{day.day}.zip" for day in manifest.days]
            odd = sorted(set(download.namelist()) ^ {*expected, MANIFEST_NAME})
            if odd:
                raise DownloadError(f"{path}: {', '.join(odd[:5])}: in the zip or in its manifest, but not in both")
            for day in manifest.days:
                yield _checked(download, day)
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise DownloadError(f"{path} is no whole zip ({error}); resume the download, or download it again") from error


def _manifest(download: zipfile.ZipFile, path: Path) -> _Manifest:
    if MANIFEST_NAME not in download.namelist():
        raise DownloadError(f"{path} has no {MANIFEST_NAME}, so it is no download of ours")
    if download.getinfo(MANIFEST_NAME).file_size > _MOST_MANIFEST_BYTES:
        raise DownloadError(f"{path}: {MANIFEST_NAME} has more than {_MOST_MANIFEST_BYTES} bytes")
    try:
        return _Manifest.model_validate_json(download.read(MANIFEST_NAME))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise DownloadError(f"{path}: {MANIFEST_NAME}: {place}: {first['msg']}") from error


def _checked(download: zipfile.ZipFile, day: _Day) -> CheckedDay:
    name = f"{day.day}.zip"
    try:
        with download.open(name) as stored:
            digest, size = _digest(stored)
        if (digest, size) != (day.sha256, day.size):
            return CheckedDay(day.day, 0, 0, f"{name} has other bytes than the manifest says")
        with download.open(name) as stored, zipfile.ZipFile(stored) as inner:
            return _counted(inner, day)
    except _BROKEN as error:
        return CheckedDay(day.day, 0, 0, f"{name} is broken: {error}")


def _counted(inner: zipfile.ZipFile, day: _Day) -> CheckedDay:
    events = size = 0
    found = {}
    for name in inner.namelist():
        with inner.open(name) as lines:
            found[name] = sum(is_event(decode(line)) for line in lines)
        events += found[name]
        size += inner.getinfo(name).file_size
    names = member_names([source.object for source in day.sources])
    wrong = [name for name, source in zip(names, day.sources, strict=True) if found.get(name, 0) != source.events]
    problem = None
    if wrong:
        problem = f"{wrong[0]} has {found.get(wrong[0], 0)} events, and the manifest says another number"
    elif (events, size) != (day.events, day.bytes):
        problem = f"{events} events in {size} bytes, but {day.events} in {day.bytes} in the manifest"
    return CheckedDay(day.day, events, size, problem)


def _digest(stored: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stored.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
