"""`exhaust verify` on downloads that mean harm: bounded memory, one clean sentence, an exit code to rely on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.bad_downloads import EVIL, NO_DOWNLOAD, ODD, WRONG, Sound, long_line
from tests.attacks.callers import new_owner
from tests.attacks.commands import run
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.callers import Callers
    from tests.attacks.commands import Ran
    from tests.attacks.store import RawData

DAY: Final = "2025-04-09"
MEMORY: Final = 400 * 1024 * 1024
LINE_MIB: Final = 1024
# Controls but for tab and line end, and what turns the direction of text.
_ESCAPES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
async def sound(callers: Callers, raw: RawData) -> Sound:
    owner = new_owner()
    for number in range(2):
        await raw.put(f"public/{owner}/{DAY}-{1744156800000 + number}.json.gz", packed(line(owner), line(owner)))
    caller = await callers.new(owner)
    return Sound(await caller.archive_of(await caller.accepted(f"D001/{{}}/{DAY}/{DAY}", owner)))


async def verify(folder: Path, data: bytes, name: str = "download.zip") -> Ran:
    """Check a download with little memory; whatever it is, the answer is clean."""
    path = folder / name
    path.write_bytes(data)
    ran = await run("exhaust", "verify", str(path), memory=MEMORY)
    assert "Traceback" not in ran.text
    assert "MemoryError" not in ran.text
    assert _ESCAPES.search(ran.text) is None, ascii(ran.text)
    return ran


async def test_a_sound_download_is_ok(sound: Sound, tmp_path: Path) -> None:
    ran = await verify(tmp_path, sound.data)
    assert (ran.code, ran.errors) == (0, "")
    assert f"{DAY}\t4\t" in ran.output


async def test_a_download_that_was_only_written_again_is_ok(sound: Sound, tmp_path: Path) -> None:
    ran = await verify(tmp_path, sound.rebuilt(sound.inner))
    assert (ran.code, ran.errors) == (0, "")


@pytest.mark.parametrize("kind", WRONG)
async def test_a_day_that_is_not_as_the_manifest_says_is_wrong(sound: Sound, tmp_path: Path, kind: str) -> None:
    ran = await verify(tmp_path, WRONG[kind](sound))
    assert ran.code == 1, ran.text
    assert len(ran.errors.splitlines()) == 1
    [told] = [row for row in ran.output.splitlines() if row.startswith(DAY)]
    assert not told.endswith("ok")
    assert 20 < len(told) < 400


@pytest.mark.parametrize("kind", ODD)
async def test_a_member_of_another_compression_is_checked_or_refused_cleanly(
    sound: Sound, tmp_path: Path, kind: str
) -> None:
    ran = await verify(tmp_path, sound.with_members({}, ODD[kind]))
    assert (ran.code, len(ran.errors.splitlines())) in {(0, 0), (1, 1)}


@pytest.mark.parametrize("kind", NO_DOWNLOAD)
async def test_a_file_that_is_no_download_of_ours_is_refused_in_one_sentence(
    sound: Sound, tmp_path: Path, kind: str
) -> None:
    ran = await verify(tmp_path, NO_DOWNLOAD[kind](sound))
    assert (ran.code, ran.output) == (2, "")
    assert len(ran.errors.splitlines()) == 1
    assert 20 < len(ran.errors) < 600


async def test_a_line_without_end_needs_no_memory(sound: Sound, tmp_path: Path) -> None:
    data = long_line(sound, LINE_MIB)
    assert len(data) < 16 * 1024 * 1024
    ran = await verify(tmp_path, data)
    assert ran.code in {0, 1}
    assert len(ran.errors.splitlines()) <= 1


async def test_a_file_name_with_escapes_is_shown_without_them(sound: Sound, tmp_path: Path) -> None:
    assert (await verify(tmp_path, b"no zip", EVIL)).code == 2
    assert (await verify(tmp_path, sound.rebuilt(sound.inner, events=9), EVIL)).code == 1


async def test_a_file_that_is_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.zip", tmp_path):
        ran = await run("exhaust", "verify", str(path), memory=MEMORY)
        assert ran.code == 2
        assert "Traceback" not in ran.text
