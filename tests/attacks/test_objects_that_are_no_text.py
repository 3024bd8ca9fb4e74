"""Objects whose content is no text: their day fails and names them, and never looks like an empty, sound one."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from backports import zstd

from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed
from tests.attacks.processes import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.callers import Callers, Reply
    from tests.attacks.store import RawData

STAMP: Final = 1738368000000
LAYOUTS: Final = {"eks-consumption-metrics": "metrics/", "channel-raw": "channel/"}


def _zip(data: bytes) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("events.json", data)
    return buffer.getvalue()


def _tar(data: bytes) -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w") as archive:
        entry = tarfile.TarInfo("events.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _utf16(data: bytes, encoding: str) -> bytes:
    return data.decode().encode(encoding)


NO_TEXT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zip": _zip,
    "tar": _tar,
    "zlib": zlib.compress,
    "utf-16-with-mark": lambda data: _utf16(data, "utf-16"),
    "utf-16-le": lambda data: _utf16(data, "utf-16-le"),
    "utf-16-be": lambda data: _utf16(data, "utf-16-be"),
    "utf-32": lambda data: _utf16(data, "utf-32"),
    "gzip-of-bzip2": lambda data: _gz(bz2.compress(data)),
    "gzip-of-xz": lambda data: _gz(lzma.compress(data)),
    "gzip-of-zip": lambda data: _gz(_zip(data)),
    "gzip-of-tar": lambda data: _gz(_tar(data)),
    "gzip-of-utf-16": lambda data: _gz(_utf16(data, "utf-16")),
    "gzip-in-gzip": lambda data: _gz(_gz(data)),
    "zstd-in-gzip": lambda data: _gz(zstd.compress(data)),
    "gzip-in-zstd": lambda data: zstd.compress(_gz(data)),
    "nulls": lambda _: _gz(bytes(4096)),
    "random": lambda _: _gz(bytes(range(128, 256)) * 40),
}
# What only looks odd: nothing of it makes a day fail.
TEXT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": lambda data: data,
    "zstd": zstd.compress,
    "two-gzip-members": lambda data: _gz(data[: len(data) // 2]) + _gz(data[len(data) // 2 :]),
    "byte-order-mark": lambda data: _gz(b"\xef\xbb\xbf" + data),
    "one-null-in-a-line": lambda data: _gz(data + b'{"eid": "a\0b"}\n'),
    "one-line-of-latin-1": lambda data: _gz(b'{"eid": "\xe9\xe8"}\n' + data),
    "carriage-returns": lambda data: _gz(data.replace(b"\n", b"\r\n")),
    "line-that-begins-like-zip": lambda data: _gz(data + b"PK\x03\x04\n"),
    "no-event-at-all": lambda data: _gz(b"hello\n" * 3 + data),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the owner of a day was answered: by its plain id, and by its hash alone."""

    stood: dict[str, Any]
    archive: bytes
    held: Reply


@dataclass(frozen=True, slots=True)
class Stage:
    answers: dict[tuple[str, str], Answers]
    log: Log


# Those of the others say that they are gzip, and are.
SUFFIXES: Final = {"plain": "", "gzip-in-zstd": ".zst", "zstd": ".zst"} | dict.fromkeys(
    ("bzip2", "xz", "lzma", "zip", "tar", "zlib", "utf-16-with-mark", "utf-16-le", "utf-16-be", "utf-32"), ""
)


def name_of(kind: str, day: str) -> str:
    return f"{day}-{STAMP}-{kind}.json{SUFFIXES.get(kind, '.gz')}"


@pytest.fixture(scope="module")
async def stage(callers: Callers, raw: RawData) -> Stage:
    kinds = NO_TEXT | TEXT
    days = {kind: f"2025-{2 + number // 28:02}-{number % 28 + 1:02}" for number, kind in enumerate(kinds)}
    owners = {kind: new_owner() for kind in kinds}
    caller, log = await callers.new(*owners.values()), Log("aggregator")

    async def answered(dataset: str, kind: str) -> Answers:
        owner, day = owners[kind], days[kind]
        folder = LAYOUTS[dataset] if dataset.startswith("eks-") else f"{LAYOUTS[dataset]}{owner}/"
        sound = b"".join(line(owner, f"{kind}-{number}") for number in range(40))
        await raw.put(f"{folder}{name_of(kind, day)}", kinds[kind](sound))
        await raw.put(f"{folder}{day}-{STAMP + 1}.json.gz", packed(line(owner, "sound")))
        path = f"{dataset}/{{}}/{day}/{day}"
        # First by the hash alone: what it finds is not kept for the other where nothing is finished.
        held = await caller.download(path, owner)
        request_id = await caller.accepted(path, owner)
        stood = await caller.stood(request_id)
        archive = await caller.archive_of(request_id) if stood["status"] == "complete" else b""
        return Answers(stood, archive, held)

    places = [(dataset, kind) for dataset in LAYOUTS for kind in kinds]
    found: list[Answers] = []
    for start in range(0, len(places), 8):  # as many at once as the stack does well
        found += await asyncio.gather(*(answered(*place) for place in places[start : start + 8]))
    return Stage(dict(zip(places, found, strict=True)), log)


both_layouts = pytest.mark.parametrize("dataset", LAYOUTS)


@both_layouts
@pytest.mark.parametrize("kind", NO_TEXT)
def test_a_day_with_an_object_that_is_no_text_fails(stage: Stage, dataset: str, kind: str) -> None:
    answers = stage.answers[dataset, kind]
    assert answers.stood["status"] == "failed"
    assert answers.stood["error"]["code"] == "SOURCE_OBJECT_UNREADABLE"
    assert answers.held.status >= 500
    assert not answers.held.body.startswith(b"PK")


@both_layouts
@pytest.mark.parametrize("kind", NO_TEXT)
def test_operators_read_which_object_it_was(stage: Stage, dataset: str, kind: str) -> None:
    entries = [json.dumps(entry) for entry in stage.log.entries if entry.get("event") == "day.failed"]
    assert any(f"-{kind}.json" in entry and LAYOUTS[dataset] in entry for entry in entries)


@both_layouts
@pytest.mark.parametrize("kind", TEXT)
def test_text_that_only_looks_odd_is_delivered(stage: Stage, dataset: str, kind: str) -> None:
    answers = stage.answers[dataset, kind]
    expected = {"sound", *(f"{kind}-{number}" for number in range(40))}
    assert answers.held.status == 200
    for download in (answers.archive, answers.held.body):
        # The line that a mark stands before may be told as it stands, with the mark.
        assert expected - set(opened(download).mids) <= ({f"{kind}-0"} if kind == "byte-order-mark" else set())
        [day] = opened(download).manifest["days"]
        assert day["events"] >= len(expected)
