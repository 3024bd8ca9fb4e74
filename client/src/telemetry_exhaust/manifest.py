"""The manifest of a download, read in little memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import IO, TYPE_CHECKING, Any, Final

from telemetry_exhaust.json_pieces import Piece, whole
from telemetry_exhaust.member_names import MANIFEST_NAME, member_names

if TYPE_CHECKING:
    import zipfile

MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
MAX_CONTAINERS: Final = 2_000_000  # lists and objects; the largest manifest of ours has a quarter of that
_CHUNK: Final = 1024 * 1024
_MOST: Final = 2**63
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class ManifestError(Exception):
    """A manifest that is not as it must be; the message says what is wrong."""


@dataclass(frozen=True)
class FailedDay:
    """A day that a partial download lacks, and why."""

    day: date
    code: str
    message: str


@dataclass(frozen=True)
class ManifestDay:
    """A day that is in the download, as the manifest tells it.

    Its sources are decoded when they are asked for, since a day may have many.
    """

    day: date
    state: str
    events: int
    bytes: int
    size: int
    sha256: str
    sources: Piece

    @property
    def archive(self) -> str:
        """The name of the day's zip in the download."""
        return f"{self.day}.zip"

    def events_by_member(self) -> dict[str, int]:
        """Return the events that each member of the day's zip must have. A member without events may be missing.

        Raises:
            ManifestError: the sources are malformed, or two of them have one member.
        """
        try:
            return _events_by_member([_source(piece.value()) for piece in self.sources.items()])
        except ValueError as error:
            raise ManifestError(f"sources: {error}") from error


@dataclass(frozen=True)
class Manifest:
    """The manifest, as far as this package needs it.

    Attributes:
        request: what was asked for, as the manifest tells it.
    """

    days: list[ManifestDay | FailedDay]
    request: dict[str, Any]


@dataclass(frozen=True)
class _Source:
    """A source object of a day; `derived` where the name of its member follows from the object's."""

    object: str
    events: int
    member: str | None
    derived: bool


def read_manifest(download: zipfile.ZipFile) -> Manifest:
    """Read the manifest of a download.

    Raises:
        ManifestError: it is malformed, or larger than MAX_MANIFEST_BYTES.
    """
    with download.open(MANIFEST_NAME) as stored:
        content = _limited(stored)
    try:
        told = dict(whole(content).members())
        request = told["request"].value() if "request" in told else {}
        return Manifest(
            [_day(piece) for piece in _required(told, "days").items()], request if isinstance(request, dict) else {}
        )
    except (ValueError, RecursionError) as error:
        raise ManifestError(str(error)) from error


def _limited(stored: IO[bytes]) -> bytes:
    content = bytearray()
    while chunk := stored.read(_CHUNK):
        content += chunk
        if len(content) > MAX_MANIFEST_BYTES:
            raise ManifestError(f"it has more than {MAX_MANIFEST_BYTES} bytes, and no manifest of ours is so large")
    if content.count(b"[") + content.count(b"{") > MAX_CONTAINERS:
        raise ManifestError(f"it has more than {MAX_CONTAINERS} lists and objects, and no manifest of ours has so many")
    return bytes(content)


def _day(piece: Piece) -> ManifestDay | FailedDay:
    told = dict(piece.members())
    state = _text(_value(told, "state"), "state")
    day = _date(_value(told, "day"))
    if state == "failed":
        return FailedDay(day, _text(_value(told, "code"), "code"), _text(_value(told, "message"), "message"))
    if state not in {"ok", "empty"}:
        raise ValueError(f"state {state!r} is unknown")
    return ManifestDay(
        day=day,
        state=state,
        events=_count(_value(told, "events"), "events"),
        bytes=_count(_value(told, "bytes"), "bytes"),
        size=_count(_value(told, "size"), "size"),
        sha256=_text(_value(told, "sha256"), "sha256"),
        sources=_required(told, "sources"),
    )


def _required(told: dict[str, Piece], name: str) -> Piece:
    if name not in told:
        raise ValueError(f"it has no {name}")
    return told[name]


def _value(told: dict[str, Piece], name: str) -> Any:
    return _required(told, name).value()


def _source(value: Any) -> _Source:
    if not isinstance(value, dict):
        raise ValueError("a source is no object")
    member = value.get("member")
    return _Source(
        object=_text(value.get("object"), "object"),
        events=_count(value.get("events"), "events"),
        member=None if member is None else _text(member, "member"),
        derived="member" not in value,
    )


def _events_by_member(sources: list[_Source]) -> dict[str, int]:
    expected: dict[str, int] = {}
    for source, name in zip(sources, member_names([source.object for source in sources])):
        member = name if source.derived else source.member
        if member is not None:
            if member in expected:
                raise ValueError(f"two objects have the member {member}")
            expected[member] = source.events
        elif source.events:
            raise ValueError("an object with events has no member")
    return expected


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def _count(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError(f"{name} is no number of things")
    return value


def _date(value: object) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("day is no date")
    return date.fromisoformat(value)
