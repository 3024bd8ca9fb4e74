"""Downloads that were not made by us, or were damaged: one sentence, and an exit code to rely on."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from client_support.commands import Ran, run

from telemetry_exhaust.file_part import MAX_READ_BYTES
from telemetry_exhaust.manifest import MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = "2026-11-01"
LINES = b'{"eid":"A"}\n' * 3
NAME = f"{DAY}-1793493000000.json"
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.json"
ROUNDS = 500


def packed(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def manifest(day: bytes, **change: Any) -> bytes:
    told: dict[str, Any] = {
        "day": DAY,
        "state": "ok",
        "events": 3,
        "bytes": len(LINES),
        "size": len(day),
        "sha256": hashlib.sha256(day).hexdigest(),
        "sources": [{"object": f"{NAME}.gz", "events": 3}],
        **change,
    }
    return json.dumps({"days": [told]}).encode()


def download(day: bytes, **change: Any) -> bytes:
    return packed([(f"{DAY}.zip", day), ("manifest.json", manifest(day, **change))], zipfile.ZIP_STORED)


SOUND = packed([(NAME, LINES)])


@pytest.fixture
def verify(tmp_path: Path) -> Callable[[bytes], Ran]:
    path = tmp_path / "download.zip"

    def run(content: bytes) -> Ran:
        path.write_bytes(content)
        return checked(path)

    return run


def checked(path: Path) -> Ran:
    done = run("verify", str(path))
    shown = done.stdout + done.stderr
    assert all(character.isprintable() or character in "\n\t" for character in shown), ascii(shown)
    assert len(done.stderr.splitlines()) == (done.exit_code != 0)
    assert len(done.stderr) < 1000
    return done


def encrypted(day: bytes, bits: int) -> bytes:
    changed = bytearray(day)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + place] |= bits
    return bytes(changed)


@pytest.mark.parametrize("member", [{}, {"member": NAME}, {"member": "another.json"}], ids=["derived", "same", "own"])
def test_members_are_those_that_the_manifest_names(verify: Callable[[bytes], Ran], member: dict[str, str]) -> None:
    day = packed([(member.get("member", NAME), LINES)])
    none = {"object": "b.gz", "events": 0} | ({"member": None} if member else {})
    sources = [{"object": f"{NAME}.gz", "events": 3} | member, none]
    assert verify(download(day, sources=sources)).exit_code == 0


@pytest.mark.parametrize(
    "content",
    [
        download(packed([(NAME, LINES)], zipfile.ZIP_STORED)),
        packed([(f"{DAY}.zip", SOUND), ("manifest.json", manifest(SOUND))]),
        b"before" + download(SOUND),
    ],
    ids=["stored", "compressed twice", "bytes before"],
)
def test_a_download_that_was_only_packed_in_another_way_is_ok(verify: Callable[[bytes], Ran], content: bytes) -> None:
    assert verify(content).exit_code == 0


def wide(entries: int) -> bytes:
    """A zip whose directory tells of so many members, in few bytes each."""
    entry = packed([("a", b"")])
    start = entry.index(b"PK\x01\x02")
    directory = entry[start:-22] * entries
    return directory + struct.pack("<4s4xHHIIH", b"PK\x05\x06", 0xFFFE, 0xFFFE, len(directory), 0, 0)


WIDE = wide(MAX_READ_BYTES // 47 + 1)
WRONG_DAYS = {
    "a directory without end": (WIDE, "is broken: it has a directory of more than"),
    "another member": (packed([(NAME, LINES), ("run-me.sh", b"")]), "run-me.sh is in the zip, but not in the manifest"),
    "a folder": (packed([(NAME, LINES), ("x/", b"")]), "x/ is in the zip, but not in the manifest"),
    "escapes": (packed([(EVIL, LINES)]), r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.json is in the zip"),
    "lzma": (packed([(NAME, LINES)], zipfile.ZIP_LZMA), "compressed by method 14"),
    "bzip2": (packed([(NAME, LINES)], zipfile.ZIP_BZIP2), "compressed by method 12"),
    "encrypted": (encrypted(SOUND, 1), "is encrypted"),
    "strongly encrypted": (encrypted(SOUND, 0x41), "is encrypted"),
    "no zip": (b"no zip", "is broken: "),
    "empty": (b"", "is broken: "),
    "cut": (SOUND[:-10], "is broken: "),
    "no members": (packed([]), "has 0 events"),
}


@pytest.mark.parametrize(("day", "why"), WRONG_DAYS.values(), ids=WRONG_DAYS)
def test_a_day_is_wrong_in_one_sentence(verify: Callable[[bytes], Ran], day: bytes, why: str) -> None:
    done = verify(download(day))
    assert done.exit_code == 1
    assert why in done.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        ([{"object": NAME, "events": 3, "member": None}], "an object with events has no member"),
        ([{"object": NAME, "events": 3}] * 2, "has 0 events"),
        ([{"object": "a", "events": 3, "member": NAME}, {"object": "b", "events": 0, "member": NAME}], "two objects"),
        ([{"object": NAME, "events": 3, "member": ""}], f"{NAME} is in the zip, but not in the manifest"),
        ([{"object": NAME, "events": -1}], "sources: "),
        ("none", "sources: "),
    ],
)
def test_bad_sources_are_wrong_in_one_sentence(verify: Callable[[bytes], Ran], sources: object, why: str) -> None:
    done = verify(download(SOUND, sources=sources))
    assert done.exit_code == 1
    assert why in done.stdout.splitlines()[1]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_wrong(verify: Callable[[bytes], Ran]) -> None:
    assert "is twice in the zip" in verify(download(packed([(NAME, LINES), (NAME, LINES)]))).stdout
    twice = [(f"{DAY}.zip", SOUND)] * 2
    assert verify(packed([*twice, ("manifest.json", manifest(SOUND))], zipfile.ZIP_STORED)).exit_code == 2


NO_DOWNLOADS = {
    "a directory without end": WIDE,
    "nothing": b"",
    "no JSON": packed([("manifest.json", b"{")]),
    "null": packed([("manifest.json", b"null")]),
    "deep": packed([("manifest.json", b"[" * 1_000_000)]),
    "deep inside": packed([("manifest.json", b'{"x":' + b"[" * 1_000_000)]),
    "five million lists": packed([("manifest.json", b'{"days":[' + b"[]," * 5_000_000 + b"[]]}")]),
    "not UTF-8": packed([("manifest.json", b'{"days":[{"day":"\xff"}]}')]),
    "too large": packed([("manifest.json", b'{"days":' + b" " * MAX_MANIFEST_BYTES + b"[]}")]),
    "lzma": packed([("manifest.json", b'{"days":[]}')], zipfile.ZIP_LZMA),
    "encrypted": encrypted(packed([("manifest.json", b'{"days":[]}')]), 1),
    "escapes": packed([("manifest.json", json.dumps({"days": [{"day": EVIL}]}).encode())]),
    "another member": packed([("manifest.json", b'{"days":[]}'), (EVIL, b"")]),
    "a great number": packed([("manifest.json", manifest(SOUND, events=10**400))]),
}


@pytest.mark.parametrize("content", NO_DOWNLOADS.values(), ids=NO_DOWNLOADS)
def test_a_file_that_is_no_download_is_refused_in_little_memory(verify: Callable[[bytes], Ran], content: bytes) -> None:
    tracemalloc = pytest.importorskip("tracemalloc", reason="this interpreter does not count memory")
    tracemalloc.start()
    try:
        done = verify(content)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_MANIFEST_BYTES
    finally:
        tracemalloc.stop()
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_is_no_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.zip", tmp_path, tmp_path / EVIL):
        assert checked(path).exit_code == 2


def test_exit_codes_are_documented() -> None:
    assert "Exit codes: 0" in run("verify", "--help").stdout


def test_no_bytes_break_the_check(verify: Callable[[bytes], Ran]) -> None:
    """Damage inside a day does not hide behind its checksum: the manifest is told anew for half of the rounds."""
    chance = random.Random(21)
    whole = download(SOUND)
    for round_number in range(ROUNDS):
        damaged = _damaged(chance, whole) if round_number % 2 else download(_damaged(chance, SOUND))
        assert verify(damaged).exit_code in {0, 1, 2}


def _damaged(chance: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    if chance.random() < 0.3:
        start, end = sorted(chance.sample(range(len(damaged)), 2))
        del damaged[start:end]
    return bytes(damaged)
