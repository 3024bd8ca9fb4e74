"""Checks of a downloaded zip against its own manifest: every byte, every event.

The file may come from anybody: it is read piece by piece in little memory, and nothing of it is shown as it stands.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from telemetry_exhaust.errors import DownloadError
from telemetry_exhaust.file_part import FilePart
from telemetry_exhaust.lines import count_events
from telemetry_exhaust.manifest import FailedDay, Manifest, ManifestDay, ManifestError, read_manifest
from telemetry_exhaust.member_names import MANIFEST_NAME
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

_CHUNK: Final = 1024 * 1024
_MAX_NAMES: Final = 5  # that one sentence tells
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x41  # APPNOTE 4.4.4: bits 0 and 6
_LOCAL_HEADER: Final = struct.Struct("<26xHH")  # APPNOTE 4.3.7: the lengths of name and extra field, which follow
# The exceptions of zipfile for bytes that are no zip, or a damaged one; NotImplementedError is a RuntimeError.
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    ArithmeticError,
    LookupError,
)


class _WrongDayError(Exception):
    """A day that is not as the manifest says; the message says why."""


@dataclass(frozen=True)
class CheckedDay:
    """The result for one day of a download.

    Attributes:
        events, bytes: as they were counted in the archive.
        problem: what is wrong, safe to show; or None.
        missing: why the download lacks the day, safe to show; None when it has it.
    """

    day: date
    events: int
    bytes: int
    problem: str | None
    missing: str | None = None


def check_download(path: Path) -> Iterator[CheckedDay]:
    """Check every day of a download, one after the other.

    Args:
        path: the zip that was downloaded.

    Raises:
        DownloadError: it cannot be read, is no zip, or has no manifest.
    """
    with open_download(path) as (file, download, manifest):
        for day in manifest.days:
            yield _missing(day) if isinstance(day, FailedDay) else _checked(file, download, day)


def check_digests(path: Path) -> None:
    """Return when every day of a download has the bytes that its manifest says.

    Raises:
        DownloadError: a day has not, or it is no download.
    """
    with open_download(path) as (_, download, manifest):
        for day in manifest.days:
            if isinstance(day, FailedDay):
                continue
            with download.open(day.archive) as stored:
                if _digest(stored) != (day.sha256, day.size):
                    raise DownloadError(f"{safe_text(path)}: {day.archive} has other bytes than the manifest says")


@contextmanager
def open_zip(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    """Open a zip: the file, and the zip in it.

    Raises:
        DownloadError: it cannot be read, or is no whole zip; also when that shows within.
    """
    with damage_told(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DownloadError(f"{safe_text(path)} is no file; name the zip that was downloaded")
        with path.open("rb") as file, zipfile.ZipFile(FilePart(file, 0, status.st_size)) as opened:
            yield file, opened


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Tell what is wrong with a file while it is read.

    Raises:
        DownloadError: it cannot be read, or is damaged.
    """
    shown = safe_text(path)
    try:
        yield
    except _BROKEN as error:
        why = safe_text(_reason(error))
        kind = "zip" if path.suffix == ".zip" else "file"
        raise DownloadError(f"{shown} is no whole {kind} ({why}); resume the download, or download it again") from error
    except OSError as error:
        raise DownloadError(f"{shown} cannot be read: {safe_text(error.strerror or error)}") from error
    except MemoryError as error:
        raise DownloadError(f"{shown} needs more memory than there is, which no download of ours does") from error


@contextmanager
def open_download(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile, Manifest]]:
    """Open a download: the file, its zip, and the manifest in it.

    Raises:
        DownloadError: it cannot be read, is no zip, or has no manifest; also when that shows within.
    """
    with open_zip(path) as (file, download):
        yield file, download, _manifest(download, safe_text(path))


def _manifest(download: zipfile.ZipFile, shown: str) -> Manifest:
    members = download.infolist()
    found = Counter(member.filename for member in members)
    if MANIFEST_NAME not in found:
        raise DownloadError(f"{shown} has no {MANIFEST_NAME}, so it is no download of ours")
    for member in members:
        if problem := _unreadable(member):
            raise DownloadError(f"{shown}: {safe_text(member.filename)} {problem}")
    try:
        manifest = read_manifest(download)
    except ManifestError as error:
        raise DownloadError(f"{shown}: {MANIFEST_NAME}: {safe_text(error)}") from error
    expected = Counter([MANIFEST_NAME, *(day.archive for day in manifest.days if not isinstance(day, FailedDay))])
    if odd := sorted({*(found - expected), *(expected - found)}):
        names = safe_text(", ".join(odd[:_MAX_NAMES]))
        raise DownloadError(f"{shown}: {names}: in the zip or in its manifest, but not once in both")
    return manifest


def _missing(day: FailedDay) -> CheckedDay:
    return CheckedDay(day.day, 0, 0, None, safe_text(f"missing: {day.code}: {day.message}"))


def _checked(file: IO[bytes], download: zipfile.ZipFile, day: ManifestDay) -> CheckedDay:
    try:
        return _counted_day(file, download, day)
    except ManifestError as error:
        problem = f"{MANIFEST_NAME}: {error}"
    except _WrongDayError as error:
        problem = str(error)
    except _BROKEN as error:
        problem = f"{day.archive} is broken: {_reason(error)}"
    except MemoryError:
        problem = f"{day.archive} needs more memory than there is, which no day of ours does"
    return CheckedDay(day.day, 0, 0, safe_text(problem))


def _counted_day(file: IO[bytes], download: zipfile.ZipFile, day: ManifestDay) -> CheckedDay:
    """Check the bytes of a day, and count what is in it; see _counted.

    Raises:
        _WrongDayError: it has other bytes than the manifest says.
    """
    with download.open(day.archive) as stored:
        if _digest(stored) != (day.sha256, day.size):
            raise _WrongDayError(f"{day.archive} has other bytes than the manifest says")
    with open_day(file, download, day) as (_, inner):
        return _counted(inner, day)


@contextmanager
def open_day(
    file: IO[bytes], download: zipfile.ZipFile, day: ManifestDay
) -> Iterator[tuple[FilePart, zipfile.ZipFile]]:
    """Open the zip of a day in a download: its bytes, and the zip."""
    member = download.getinfo(day.archive)
    if member.compress_type == zipfile.ZIP_STORED:
        with download.open(member):  # reads the local header, and refuses one that disagrees
            part = stored_content(file, member)
        with zipfile.ZipFile(part) as inner:
            yield part, inner
        return
    with download.open(member) as stored:
        packed = FilePart(stored, 0, day.size)
        with zipfile.ZipFile(packed) as inner:
            yield packed, inner


def refuse_unreadable(path: Path, member: zipfile.ZipInfo) -> None:
    """Return when a member is of a kind that downloads of ours have.

    Raises:
        DownloadError: it is not.
    """
    if problem := _unreadable(member):
        raise DownloadError(f"{safe_text(path)}: {safe_text(member.filename)} {problem}")


def _counted(inner: zipfile.ZipFile, day: ManifestDay) -> CheckedDay:
    """Count what is in a day.

    Raises:
        _WrongDayError: a member is not one of the manifest, stands twice, or cannot be read.
        ManifestError: the sources of the day are malformed.
    """
    expected = day.events_by_member()
    found: dict[str, int] = {}
    size = 0
    for member in inner.infolist():
        name = member.filename
        if name not in expected:
            raise _WrongDayError(f"{name} is in the zip, but not in the manifest; do not use it")
        if name in found:
            raise _WrongDayError(f"{name} is twice in the zip")
        if problem := _unreadable(member):
            raise _WrongDayError(f"{name} {problem}")
        with inner.open(member) as lines:
            found[name], read = count_events(lines)
        size += read
    events = sum(found.values())
    wrong = next((name for name, number in expected.items() if found.get(name, 0) != number), None)
    problem = None
    if wrong is not None:
        problem = f"{wrong} has {found.get(wrong, 0)} events, and the manifest says another number"
    elif (events, size) != (day.events, day.bytes):
        problem = f"{events} events in {size} bytes, but {day.events} in {day.bytes} in the manifest"
    return CheckedDay(day.day, events, size, problem and safe_text(problem))


def _reason(error: Exception) -> str:
    return str(error) or "it ends too early"


def _unreadable(member: zipfile.ZipInfo) -> str | None:
    """Say why a member cannot be read, from what the zip says of it; None when it can."""
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted, and no download of ours is"
    if member.compress_type not in _METHODS:
        return f"is compressed by method {member.compress_type}, and no download of ours is"
    return None


def stored_content(file: IO[bytes] | FilePart, member: zipfile.ZipInfo) -> FilePart:
    """Return the bytes of a member as they are stored; zipfile must have read its local header before."""
    file.seek(member.header_offset)
    offset = member.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size)))
    return FilePart(file, offset, member.compress_size)


def _digest(stored: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stored.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
