"""Downloads that are not what they seem, made of one that is sound."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Manifest = dict[str, Any]

EVIL: Final = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.zip"
_MIB: Final = 1024 * 1024
_ZEROS: Final = b"0" * (16 * _MIB)


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound download of one day, as the stack made it."""

    data: bytes

    @property
    def manifest(self) -> Manifest:
        with zipfile.ZipFile(io.BytesIO(self.data)) as outer:
            manifest: Manifest = json.loads(outer.read("manifest.json"))
            return manifest

    @property
    def day(self) -> str:
        return str(self.manifest["days"][0]["day"])

    @property
    def inner(self) -> bytes:
        with zipfile.ZipFile(io.BytesIO(self.data)) as outer:
            return outer.read(f"{self.day}.zip")

    @property
    def members(self) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(self.inner)) as day:
            return {name: day.read(name) for name in day.namelist()}

    def rebuilt(self, inner: bytes, **change: object) -> bytes:
        """The download with another day in it, of which the manifest tells the true size and checksum."""
        manifest = self.manifest
        manifest["days"][0] |= {"size": len(inner), "sha256": sha256(inner).hexdigest(), **change}
        manifest["totals"] |= {name: value for name, value in change.items() if name in manifest["totals"]}
        return outer({f"{self.day}.zip": inner, "manifest.json": json.dumps(manifest).encode()})

    def with_members(self, more: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
        """The download with more members, all of one compression."""
        members = self.members | more
        return self.rebuilt(archive(members, method), bytes=sum(map(len, members.values())))


def archive(members: dict[str, bytes], method: int) -> bytes:
    """A zip of these members."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def outer(members: dict[str, bytes]) -> bytes:
    """A zip that keeps its members as they are, as a download does."""
    return archive(members, zipfile.ZIP_STORED)


def precompressed(name: str, deflated: bytes, crc: int, size: int) -> bytes:
    """A zip of one member whose deflate stream is there already."""
    written = name.encode()
    common = struct.pack("<HHHHHIIIHH", 20, 0x800, 8, 0, 0x21, crc, len(deflated), size, len(written), 0)
    local = b"PK\x03\x04" + common + written
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + written
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local) + len(deflated), 0)
    return local + deflated + entry + end


def long_line(sound: Sound, mib: int) -> bytes:
    """A download whose only member is one line of so many MiB, and whose manifest tells of it truly."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = compressor.compress(_ZEROS) + compressor.flush(zlib.Z_FULL_FLUSH)
    times, crc = mib * _MIB // len(_ZEROS), 0
    for _ in range(times):
        crc = zlib.crc32(_ZEROS, crc)
    [name, *_] = sound.members
    inner = precompressed(name, piece * times + compressor.flush(), crc, times * len(_ZEROS))
    sources = [source | {"events": 0} for source in sound.manifest["days"][0]["sources"]]
    return sound.rebuilt(inner, events=0, bytes=times * len(_ZEROS), unreadable=1, sources=sources)


def with_manifest(sound: Sound, manifest: bytes) -> bytes:
    """A small download with a manifest that is much larger than it looks."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(f"{sound.day}.zip", sound.inner)
        file.writestr("manifest.json", manifest)
    return buffer.getvalue()


def changed(data: bytes, find: bytes, put: bytes) -> bytes:
    """The same bytes but for one place, which must be there."""
    assert find in data
    return data.replace(find, put, 1)


def encrypted(sound: Sound) -> bytes:
    """A member that says that it is encrypted."""
    inner = bytearray(sound.inner)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        inner[inner.index(mark) + flags] |= 1
    return sound.rebuilt(bytes(inner))


def of_method(sound: Sound, method: int) -> bytes:
    """A member that says that it is compressed in a way that nobody knows."""
    inner = bytearray(sound.inner)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = inner.index(mark) + place
        inner[start : start + 2] = struct.pack("<H", method)
    return sound.rebuilt(bytes(inner))


def broken_lzma(sound: Sound, place: int, put: bytes) -> bytes:
    """A member compressed by LZMA, some of whose first bytes are others.

    They are (APPNOTE 5.8.8): two of a version, two of a size, one of properties, four of the memory that is wanted.
    """
    inner = bytearray(archive(sound.members, zipfile.ZIP_LZMA))
    name, extra = struct.unpack("<HH", inner[26:30])
    start = 30 + name + extra + place
    inner[start : start + len(put)] = put
    return sound.rebuilt(bytes(inner))


WRONG: Final[dict[str, Callable[[Sound], bytes]]] = {
    "member-outside-sources": lambda sound: sound.with_members({"run-me.sh": b"rm -rf /\n"}),
    "empty-member-outside-sources": lambda sound: sound.with_members({"run-me.sh": b""}),
    "member-outside-sources-with-escapes": lambda sound: sound.with_members({EVIL: b"x"}),
    "lzma-member-that-is-broken": lambda sound: broken_lzma(sound, 12, b"\xff" * 20),
    "lzma-member-of-no-properties": lambda sound: broken_lzma(sound, 4, b"\xff"),
    "lzma-member-that-wants-4-gib": lambda sound: broken_lzma(sound, 5, b"\xff" * 4),
    "encrypted-member": encrypted,
    "member-of-unknown-method": lambda sound: of_method(sound, 99),
    "day-with-a-changed-byte": lambda sound: changed(sound.data, sound.inner[40:60], bytes(20)),
    "day-that-is-no-zip": lambda sound: sound.rebuilt(b"no zip at all"),
    "day-cut-short": lambda sound: sound.rebuilt(sound.inner[:-30]),
    "another-number-of-events": lambda sound: sound.rebuilt(sound.inner, events=77),
}
# Sound, but of a compression that no download of ours has: ok, or wrong in one sentence.
ODD: Final = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2, "stored": zipfile.ZIP_STORED}
NO_DOWNLOAD: Final[dict[str, Callable[[Sound], bytes]]] = {
    "no-zip": lambda _: b"no zip at all",
    "empty-file": lambda _: b"",
    "no-manifest": lambda sound: outer({f"{sound.day}.zip": sound.inner}),
    "manifest-not-json": lambda sound: with_manifest(sound, b"{"),
    "manifest-of-nothing": lambda sound: with_manifest(sound, b"null"),
    "manifest-nested-deep": lambda sound: with_manifest(sound, b"[" * 1_000_000),
    "manifest-of-five-million-lists": lambda sound: with_manifest(sound, b'{"days":[' + b"[]," * 5_000_000 + b"[]]}"),
    "manifest-of-300-mib-of-blanks": lambda sound: with_manifest(sound, b'{"days":' + b" " * (300 * _MIB) + b"[]}"),
    "manifest-in-lzma": lambda sound: archive(
        {f"{sound.day}.zip": sound.inner, "manifest.json": b"{}"}, zipfile.ZIP_LZMA
    ),
    "manifest-with-escapes": lambda sound: with_manifest(sound, json.dumps({"days": [{"day": EVIL}]}).encode()),
    "day-not-in-the-manifest": lambda sound: outer({**_parts(sound), EVIL: b""}),
    "cut-short": lambda sound: sound.data[:-40],
}


def _parts(sound: Sound) -> dict[str, bytes]:
    return {f"{sound.day}.zip": sound.inner, "manifest.json": json.dumps(sound.manifest).encode()}
