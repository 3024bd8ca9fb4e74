"""Names of archive members, made from object keys as the platform makes them, for manifests that do not name them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MANIFEST_NAME: Final = "manifest.json"  # of a download
_MAX_MADE_BYTES: Final = 200  # file systems take 255; the rest is for the suffix of a name that is taken
_DROPPED_SUFFIXES: Final = re.compile(r"(?:\.(?:gz|gzip|zst|zstd|tmp))+\Z", re.IGNORECASE)  # also of unfinished objects
# Fixed ranges rather than Unicode's categories, which grow with every version of Python: the names are archive bytes.
_ODD: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f]"  # controls
    r'|[<>:"|?*\\]'  # reserved on Windows
    r"|[\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"  # invisible: line breaks, marks of text direction, byte order
    r"|[\ud800-\udfff]"  # halves of a character
)
_NAMELESS: Final = "unnamed"


def member_name(object_key: str) -> str:
    """Return the name of the member that holds the events of a source object.

    It is the last part of the key without any `.gz`, `.gzip`, `.zst`, `.zstd` and `.tmp` at its end; `.json` is added
    where no suffix is left.
    Characters that some system cannot have in a file name become `_`, and a very long name is cut.

    Args:
        object_key: any string.

    Returns:
        A name that every system can unpack.
    """
    name = _DROPPED_SUFFIXES.sub("", _ODD.sub("_", object_key.rpartition("/")[2]))
    if not name.strip(". "):
        name = _NAMELESS
    stem, suffix = _split(name)
    return _cut(stem, _MAX_MADE_BYTES - len(suffix.encode())) + suffix


def member_names(object_keys: Sequence[str]) -> list[str]:
    """Return the member names of the source objects of a day, in the same order and all different.

    A name that an earlier key took gets `-2`, `-3`, … before its suffix. Letter case and Unicode's normal forms do not
    tell names apart, as they do not on every file system that an archive is unpacked on.
    """
    taken: set[str] = set()
    next_number: dict[str, int] = {}
    names = []
    for object_key in object_keys:
        wanted = name = member_name(object_key)
        while _as_file_systems_see(name) in taken:
            number = next_number.get(wanted, 2)
            next_number[wanted] = number + 1
            stem, suffix = _split(wanted)
            name = f"{stem}-{number}{suffix}"
        taken.add(_as_file_systems_see(name))
        names.append(name)
    return names


def _as_file_systems_see(name: str) -> str:
    """Return a text that is equal for names which some file system takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _split(name: str) -> tuple[str, str]:
    """Split a name into stem and suffix; a name without a suffix gets `.json`."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or not suffix or len(suffix.encode()) > _MAX_MADE_BYTES // 2:
        return name, ".json"
    return stem, dot + suffix


def _cut(text: str, limit: int) -> str:
    """Cut a text to at most `limit` bytes of UTF-8, whole characters only."""
    return text.encode()[:limit].decode(errors="ignore")
