from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.outer_archive import Literal, StoredDay, outer_segments
from services.aggregator.archive.zip_format import Content
from tests.support.day_zip import write_known_member, write_member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FIRST = date(2026, 11, 1)
MONTH = [FIRST + timedelta(days=number) for number in range(31)]
LINES = b'{"eid":"START","ets":1793493000000}\n' * 20_000
MEMBERS = {"a.json": LINES, "empty.json": b"", "é.json": LINES[:50]}
ZEROS = bytes(2**26)
FOUR_GIB = 2**32


def seven_zip_names(output: str) -> list[str]:
    return [line.removeprefix("Path = ") for line in output.splitlines() if line.startswith("Path = ")]


def python_names(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines()[1:]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A command that partners unpack with. FILE in its arguments is the archive; without it, the archive is piped."""

    command: str
    package: str
    test: tuple[str, ...]
    listing: tuple[str, ...]
    names: Callable[[str], list[str]] = str.splitlines

    def run(self, arguments: tuple[str, ...], archive: Path) -> tuple[int, str]:
        command = shutil.which(self.command)
        if command is None:
            pytest.skip(f"{self.command} is not installed: apt-get install -y {self.package}")
        with archive.open("rb") as pipe:
            done = subprocess.run(
                [command, *(str(archive) if argument == "FILE" else argument for argument in arguments)],
                stdin=pipe,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        return done.returncode, done.stdout.decode(errors="replace")


TOOLS = {
    "unzip": Tool("unzip", "unzip", ("-tqq", "FILE"), ("-Z1", "FILE")),
    "7z": Tool("7z", "p7zip-full", ("t", "FILE"), ("l", "-ba", "-slt", "FILE"), seven_zip_names),
    "bsdtar": Tool("bsdtar", "libarchive-tools", ("-xOf", "FILE"), ("-tf", "FILE")),
    "bsdtar, piped": Tool("bsdtar", "libarchive-tools", ("-xOf", "-"), ("-tf", "-")),
    "python": Tool(
        sys.executable, "python3", ("-m", "zipfile", "-t", "FILE"), ("-m", "zipfile", "-l", "FILE"), python_names
    ),
    "jar": Tool("jar", "default-jdk-headless", ("tf", "FILE"), ("tf", "FILE")),
    "jar, piped": Tool("jar", "default-jdk-headless", ("t",), ("t",)),
}


def day_archive(day: date, members: Mapping[str, bytes], *, streamed: bool = False) -> bytes:
    writer = DayArchiveWriter(day)
    pieces: list[bytes] = []
    for name, data in members.items():
        pieces += write_member(writer, name, [data]) if streamed else write_known_member(writer, name, data)
    return b"".join([*pieces, writer.finish()])


def outer_archive(days: Mapping[date, bytes]) -> bytes:
    stored = [StoredDay(day, str(day), len(data), zlib.crc32(data)) for day, data in days.items()]
    objects = {each.key: each.header + days[each.day] for each in stored}
    segments = outer_segments(stored, b"{}\n")
    return b"".join(part.data if isinstance(part, Literal) else objects[part.key] for part in segments)


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "no day": lambda: outer_archive({}),
    "an empty day": lambda: outer_archive({FIRST: day_archive(FIRST, {})}),
    "31 days": lambda: outer_archive({day: day_archive(day, {f"{day}.json": LINES}) for day in MONTH}),
    "several members": lambda: day_archive(FIRST, MEMBERS),
    "several members, streamed": lambda: day_archive(FIRST, MEMBERS, streamed=True),
    "66,000 members": lambda: day_archive(FIRST, {f"{number}.json": b"{}\n" for number in range(66_000)}),
}


@pytest.fixture(scope="module", params=ARCHIVES)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name: str = request.param
    path = tmp_path_factory.mktemp("archives") / f"{name}.zip"
    path.write_bytes(ARCHIVES[name]())
    return path


@pytest.fixture(scope="module")
def beyond_four_gib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = DayArchiveWriter(FIRST)
    path = tmp_path_factory.mktemp("archives") / "beyond-4-gib.zip"
    with path.open("wb") as file:
        file.writelines(write_member(writer, "large.json", repeat(ZEROS, FOUR_GIB // len(ZEROS)), large=True))
        file.writelines(write_member(writer, "small.json", [LINES]))
        file.write(writer.finish())
    return path


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_finds_the_members_and_no_error(name: str, archive: Path) -> None:
    tool = TOOLS[name]
    with zipfile.ZipFile(archive) as opened:
        expected = opened.namelist()
    status, output = tool.run(tool.test, archive)
    assert status == 0, output
    status, output = tool.run(tool.listing, archive)
    assert status == 0, output
    assert tool.names(output) == expected


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_finds_nothing_in_the_zip_of_an_empty_day(name: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.zip"
    path.write_bytes(day_archive(FIRST, {}))
    status, output = TOOLS[name].run(TOOLS[name].test, path)
    if name == "unzip":  # it warns that there is nothing to do, and says so by its status
        assert (status, "zipfile is empty" in output) == (1, True)
    else:
        assert status == 0, output
    if name == "7z":
        assert "Everything is Ok" in output
    if name in {"bsdtar", "bsdtar, piped", "jar", "jar, piped"}:
        assert output == ""


@pytest.mark.parametrize("name", ["unzip", "7z", "bsdtar", "bsdtar, piped", "python", "jar"])
def test_a_tool_lists_a_member_beyond_four_gib(name: str, beyond_four_gib: Path) -> None:
    status, output = TOOLS[name].run(TOOLS[name].listing, beyond_four_gib)
    assert status == 0, output
    assert TOOLS[name].names(output) == ["large.json", "small.json"]


def test_a_member_beyond_four_gib_can_be_read(beyond_four_gib: Path) -> None:
    status, output = TOOLS["7z"].run(TOOLS["7z"].test, beyond_four_gib)
    assert status == 0, output
    assert f"Size:       {FOUR_GIB + len(LINES)}" in output


def test_a_member_that_grows_beyond_four_gib_unannounced_is_refused() -> None:
    writer = DayArchiveWriter(FIRST)
    writer.begin_member("large.json")
    writer.add(b"\x03\0")
    too_large = Content(0, 2, FOUR_GIB - 1)  # the last size that four bytes can say is 2**32 - 2
    with pytest.raises(OverflowError, match=r"large\.json of 2026-11-01 has 4294967295 bytes"):
        writer.end_member(too_large)
    calls: list[Callable[[], bytes]] = [lambda: writer.end_member(too_large), writer.finish, lambda: writer.add(b"x")]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"'large\.json' was too large"):
            call()


def test_the_inner_archive_of_a_day_unpacks_to_the_bytes_of_its_members(tmp_path: Path) -> None:
    inner = day_archive(FIRST, MEMBERS)
    with zipfile.ZipFile(io.BytesIO(outer_archive({FIRST: inner}))) as opened:
        unpacked = tmp_path / "day.zip"
        unpacked.write_bytes(opened.read("2026-11-01.zip"))
    for tool in (TOOLS["bsdtar"], TOOLS["bsdtar, piped"]):
        status, output = tool.run(tool.test, unpacked)
        assert status == 0
        assert output.encode() == b"".join(MEMBERS.values())
