"""The manifest of a download, read in little memory."""

import zipfile
from datetime import date
from typing import Annotated, Final

import msgspec

from exhaust.domain.member_names import MANIFEST_NAME, member_names

MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 1024 * 1024

Count = Annotated[int, msgspec.Meta(ge=0)]


class ManifestError(Exception):
    """A manifest that is not as it must be; the message says what is wrong."""


class Source(msgspec.Struct):
    """A source object of a day, as far as the check needs it; without `member`, the name follows from the object's."""

    object: str
    events: Count
    member: str | msgspec.UnsetType | None = msgspec.UNSET


class FailedDay(msgspec.Struct, tag_field="state", tag="failed"):
    """A day that a partial download lacks, and why."""

    day: date
    code: str
    message: str


class ManifestDay(msgspec.Struct):
    """A day that is in the download, as the manifest tells it.

    Its sources are decoded when they are asked for, since a day may have many.
    """

    day: date
    events: Count
    bytes: Count
    size: Count
    sha256: str
    sources: msgspec.Raw

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
            sources = msgspec.json.decode(self.sources, type=list[Source])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ManifestError(f"sources: {error}") from error
        derived = member_names([source.object for source in sources])
        expected: dict[str, int] = {}
        for source, name in zip(sources, derived, strict=True):
            member = name if source.member is msgspec.UNSET else source.member
            if member is not None:
                if member in expected:
                    raise ManifestError(f"sources: two objects have the member {member}")
                expected[member] = source.events
            elif source.events:
                raise ManifestError("sources: an object with events has no member")
        return expected


class OkDay(ManifestDay, tag_field="state", tag="ok"):
    """A day with events."""


class EmptyDay(ManifestDay, tag_field="state", tag="empty"):
    """A day without events."""


class Manifest(msgspec.Struct):
    """The manifest, as far as the check needs it."""

    days: list[OkDay | EmptyDay | FailedDay]


def read_manifest(download: zipfile.ZipFile) -> Manifest:
    """Read the manifest of a download.

    Raises:
        ManifestError: it is malformed, or larger than MAX_MANIFEST_BYTES.
    """
    content = bytearray()
    with download.open(MANIFEST_NAME) as stored:
        while chunk := stored.read(_CHUNK):
            content += chunk
            if len(content) > MAX_MANIFEST_BYTES:
                raise ManifestError(f"it has more than {MAX_MANIFEST_BYTES} bytes, and no manifest of ours is so large")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(str(error)) from error
