"""The benchmark's checks find wrong output of contenders, and its memory figures count child processes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from bench.aggregator.correctness import difference, expect, has_member_per_object, whole_difference
from bench.aggregator.generated_data import CHANNELS, FIRST_DAY, Recipe, blocks, day_objects
from bench.memory import MemoryWatch, family_memory

if TYPE_CHECKING:
    from pathlib import Path

    from bench.aggregator.correctness import Expected

CHANNEL = CHANNELS[3]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = blocks(tmp_path, 2, Recipe(events=400))
    found = []
    for generated in day_objects(FIRST_DAY, made, 2):
        path = tmp_path / generated.name
        path.write_bytes(b"".join(generated.chunks()))
        found.append(path)
    return found


@pytest.fixture
def expected(files: list[Path]) -> Expected:
    return expect(files, CHANNEL)


def archive(folder: Path, members: dict[str, list[bytes]]) -> Path:
    path = folder / "day.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, lines in members.items():
            zipped.writestr(name, b"".join(lines))
    return path


def test_the_right_lines_are_right_in_one_member_or_in_one_for_each_object(tmp_path: Path, expected: Expected) -> None:
    first, second = (list(lines) for lines in expected.lines.values())
    assert len(first) > 5
    path = archive(tmp_path, dict(zip(expected.lines, (first, second), strict=True)))
    assert difference(path, expected) == ""
    assert has_member_per_object(path, expected)
    path = archive(tmp_path, {"-": [*second, *first]})
    assert difference(path, expected) == ""
    assert not has_member_per_object(path, expected)


def test_a_missing_a_strange_a_repeated_and_a_misplaced_line_are_found(tmp_path: Path, expected: Expected) -> None:
    lines = [line for member in expected.lines.values() for line in member]
    for wrong in (lines[1:], [*lines, b"{}\n"], [*lines, lines[0]], [lines[1], lines[0], *lines[2:]]):
        assert difference(archive(tmp_path, {"-": wrong}), expected)


def test_whole_objects_are_compared_with_their_members(tmp_path: Path, files: list[Path]) -> None:
    subprocess.run([sys.executable, "-m", "gzip", "-d", *files], check=True)
    members = {path.with_suffix("").name: [path.with_suffix("").read_bytes()] for path in files}
    assert whole_difference(archive(tmp_path, members), files) == ""
    members[files[1].with_suffix("").name][0] += b"x"
    assert files[1].name in whole_difference(archive(tmp_path, members), files)


def test_memory_counts_the_children_of_a_process() -> None:
    grow = "import sys; held = b'x' * 64_000_000; print(flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        with MemoryWatch(lambda: family_memory(process.pid)) as memory:
            pass
        process.stdin.close()
    assert 64_000_000 < memory.peak < 200_000_000
