from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from client_support.commands import run
from telemetry_exhaust.download_check import check_download
from telemetry_exhaust.errors import DownloadError

from exhaust.domain.days import DayRange
from schemas.events import FailedDay
from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.day_summary import DaySummary, SourceSummary
from services.aggregator.archive.manifest import manifest_json
from tests.support.day_zip import write_member

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 11, 1)
NAME = "2026-11-01-1793493000000.json"
LINES = b'{"eid":"A"}\n[junk]\n{"eid":"B"}\n'


def day_zip(lines: bytes) -> bytes:
    writer = DayArchiveWriter(DAY)
    return b"".join([*write_member(writer, NAME, [lines]), writer.finish()])


def summary(archive: bytes) -> DaySummary:
    return DaySummary(
        day=DAY,
        key="days/d/r/2026-11-01/00.zip",
        size=len(archive),
        crc32=0,
        sha256=hashlib.sha256(archive).hexdigest(),
        events=2,
        bytes=len(LINES),
        unreadable=1,
        duplicates=0,
        versions={"none": 2},
        sources=(
            SourceSummary(f"raw/{NAME}.gz", "e", 9, 2, len(LINES), 1, NAME),
            SourceSummary("raw/2026-11-01-1793493000001.json.gz", "e", 9, 0, 0, 0, None),
        ),
        unreadable_lines=(),
        first_received=None,
        last_received=None,
        first_event=None,
        last_event=None,
    )


def download(path: Path, archive: bytes, told: DaySummary) -> Path:
    manifest = manifest_json("d", "r", DayRange(DAY, DAY), (), [told])
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr(f"{DAY}.zip", archive)
        outer.writestr("manifest.json", manifest)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.zip"


def test_a_true_download_is_counted_and_found_right(path: Path) -> None:
    archive = day_zip(LINES)
    [day] = check_download(download(path, archive, summary(archive)))
    assert (day.day, day.events, day.bytes, day.problem) == (DAY, 2, len(LINES), None)
    done = run("verify", str(path))
    assert (done.exit_code, done.output.splitlines()[1]) == (0, f"2026-11-01\t2\t{len(LINES)}\tok")


def partial_download(path: Path, archive: bytes, told: DaySummary) -> Path:
    failed = [FailedDay(day=DAY + timedelta(days=1), code="LIMIT_EXCEEDED", message="ask \x1b[2J the operators")]
    manifest = manifest_json("d", "r", DayRange(DAY, DAY + timedelta(days=1)), (), [told], failed)
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr(f"{DAY}.zip", archive)
        outer.writestr("manifest.json", manifest)
    return path


def test_a_partial_download_is_right_and_called_partial(path: Path) -> None:
    archive = day_zip(LINES)
    here, lacking = check_download(partial_download(path, archive, summary(archive)))
    assert (here.problem, here.missing, here.events) == (None, None, 2)
    assert (lacking.problem, lacking.events) == (None, 0)
    assert lacking.missing == "missing: LIMIT_EXCEEDED: ask \\x1b[2J the operators"
    done = run("verify", str(path))
    assert done.exit_code == 6
    assert "exhaust: export.zip is partial: 1 of 2 days are missing, the others are right\n" in done.output
    assert f"2026-11-02\t0\t0\t{lacking.missing}" in done.output


def test_a_wrong_day_of_a_partial_download_counts_for_more(path: Path) -> None:
    archive = day_zip(LINES)
    partial_download(path, archive, replace(summary(archive), events=3))
    done = run("verify", str(path))
    assert done.exit_code == 1
    assert "1 of 2 days are wrong" in done.output


def test_a_day_that_a_partial_download_should_lack_is_odd(path: Path) -> None:
    archive = day_zip(LINES)
    partial_download(path, archive, summary(archive))
    with zipfile.ZipFile(path, "a") as outer:
        outer.writestr("2026-11-02.zip", archive)
    with pytest.raises(DownloadError, match=r"2026-11-02\.zip: in the zip or in its manifest"):
        list(check_download(path))


def test_other_bytes_are_found(path: Path) -> None:
    told = summary(day_zip(LINES))
    [day] = check_download(download(path, day_zip(LINES[:-1]), told))
    assert day.problem == "2026-11-01.zip has other bytes than the manifest says"
    done = run("verify", str(path))
    assert done.exit_code == 1
    assert "1 of 1 days are wrong" in done.output


@pytest.mark.parametrize(("more_events", "more_bytes"), [(1, 0), (0, 1)])
def test_other_totals_are_found(path: Path, more_events: int, more_bytes: int) -> None:
    archive = day_zip(LINES)
    told = summary(archive)
    told = replace(told, events=told.events + more_events, bytes=told.bytes + more_bytes)
    [day] = check_download(download(path, archive, told))
    assert day.problem is not None
    assert "in the manifest" in day.problem


def test_another_number_of_events_of_an_object_is_found(path: Path) -> None:
    archive = day_zip(LINES)
    told = summary(archive)
    first, second = told.sources
    swapped = replace(
        told, sources=(replace(first, events=0), replace(second, events=2, member="2026-11-01-1793493000001.json"))
    )
    [day] = check_download(download(path, archive, swapped))
    assert day.problem == f"{NAME} has 2 events, and the manifest says another number"


def test_a_day_that_is_no_zip_is_found(path: Path) -> None:
    [day] = check_download(download(path, b"no zip", summary(b"no zip")))
    assert day.problem is not None
    assert "2026-11-01.zip is broken" in day.problem


@pytest.mark.parametrize("kept", [0, 10, -1])
def test_a_download_that_was_cut_is_refused(path: Path, kept: int) -> None:
    archive = day_zip(LINES)
    data = download(path, archive, summary(archive)).read_bytes()
    path.write_bytes(data[:kept])
    with pytest.raises(DownloadError, match="no whole zip"):
        list(check_download(path))
    assert run("verify", str(path)).exit_code == 2


def test_a_flipped_byte_anywhere_does_not_pass(path: Path) -> None:
    archive = day_zip(LINES)
    data = download(path, archive, summary(archive)).read_bytes()
    at = data.index(archive)
    for position in range(at, at + len(archive)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert any(day.problem for day in check_download(path)), position


def test_a_zip_without_a_manifest_is_not_ours(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("a", b"")
    with pytest.raises(DownloadError, match=r"has no manifest\.json"):
        list(check_download(path))


@pytest.mark.parametrize("manifest", [b"junk", b"{}", b'{"days":[{"day":"2026-11-01"}]}'])
def test_a_bad_manifest_is_refused(path: Path, manifest: bytes) -> None:
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("manifest.json", manifest)
    with pytest.raises(DownloadError, match=r"manifest\.json: "):
        list(check_download(path))


def test_a_missing_day_is_told(path: Path) -> None:
    archive = day_zip(LINES)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as outer:
        outer.writestr("manifest.json", manifest_json("d", "r", DayRange(DAY, DAY), (), [summary(archive)]))
    path.write_bytes(data.getvalue())
    with pytest.raises(DownloadError, match=r"2026-11-01\.zip: in the zip or in its manifest"):
        list(check_download(path))
