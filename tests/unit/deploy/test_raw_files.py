import gzip
from datetime import date
from pathlib import Path

import pytest

from deploy.local.raw_files import RawFilesError, read_folder

TODAY = date(2026, 3, 2)
PACKED = gzip.compress(b'{"eid":"START"}\n', mtime=5)


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PACKED if name.lower().endswith(".gz") else name.encode())


def names_in(folder: Path, days: int = 10) -> dict[str, str]:
    return {file.path.relative_to(folder).as_posix(): file.name for file in read_folder(folder, TODAY, days)}


def test_day_and_epoch_come_from_the_name(tmp_path: Path) -> None:
    write(tmp_path, "channel-raw-2019-12-04-1575399627832.jsonl.gz", "2020-02-29.json", "a/events_2020-02-29_x.jsonl")
    assert names_in(tmp_path) == {
        "channel-raw-2019-12-04-1575399627832.jsonl.gz": "2019-12-04-1575399627832.json.gz",
        "2020-02-29.json": "2020-02-29-1582934400000.json.gz",
        "a/events_2020-02-29_x.jsonl": "2020-02-29-1582934400001.json.gz",
    }


@pytest.mark.parametrize(
    "name",
    [
        "2026-02-30.json",
        "2026-03-02.json",
        "2027-01-01.json",
        "12026-01-01.json",
        "2026-01-015.json",
        "2026-13-01-1575399627832.gz",
        "events-2026-01.json",
        "".join(chr(0x660 + int(digit)) if digit.isdigit() else digit for digit in "2025-01-01.json"),
    ],
)
def test_a_name_without_a_day_before_today_is_spread(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    assert list(names_in(tmp_path, days=1).values()) == ["2026-03-01-1772323200000.json.gz"]


def test_the_first_valid_day_in_a_name_counts(tmp_path: Path) -> None:
    write(tmp_path, "2026-02-30-to-2026-01-31.json")
    assert list(names_in(tmp_path).values()) == ["2026-01-31-1769817600000.json.gz"]


def test_an_epoch_of_another_length_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path, "2026-01-31-12.json")
    assert list(names_in(tmp_path).values()) == ["2026-01-31-1769817600000.json.gz"]


def test_files_without_a_day_go_round_the_last_days_in_name_order(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "b.jsonl", "c.gz", "d/a.json", "2025-01-01.json")
    days = {name: named[:10] for name, named in names_in(tmp_path, days=3).items()}
    assert days == {
        "2025-01-01.json": "2025-01-01",
        "a.json": "2026-02-27",
        "b.jsonl": "2026-02-28",
        "c.gz": "2026-03-01",
        "d/a.json": "2026-02-27",
    }


def test_no_two_objects_share_a_name(tmp_path: Path) -> None:
    kept = "2026-01-31-1769817600000.json"
    write(tmp_path, "2026-01-31.json", f"a/{kept}", f"b/{kept}", "c/2026-01-31.json")
    named = names_in(tmp_path)
    assert len(set(named.values())) == 4
    assert named[f"a/{kept}"] == f"{kept}.gz"


def test_gzip_bytes_pass_and_plain_bytes_are_compressed_the_same_way_each_time(tmp_path: Path) -> None:
    write(tmp_path, "a.gz", "b.json")
    packed, plain = read_folder(tmp_path, TODAY)
    assert packed.read() == PACKED
    assert gzip.decompress(plain.read()) == b"b.json"
    assert plain.read() == plain.read()
    assert plain.read()[4:8] == bytes(4)


def test_other_files_are_left_out_and_case_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "INDEX.md", "x.zip", "json", "index.json", "A.JSONL", "B.GZ")
    assert sorted(names_in(tmp_path)) == ["A.JSONL", "B.GZ", "index.json"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PACKED[:-9], "is a truncated gzip file"),
        (PACKED[:5], "is a truncated gzip file"),
        (b"plain text", "is not a sound gzip file"),
        (PACKED[:-8] + bytes(8), "is not a sound gzip file"),
        (PACKED[:10] + b"\xff" * 9, "is not a sound gzip file"),
        (PACKED + b"trailing", "is not a sound gzip file"),
        (b"", "is empty"),
    ],
)
def test_an_unsound_gzip_file_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    write(tmp_path, "good.json")
    (tmp_path / "bad.json.gz").write_bytes(data)
    with pytest.raises(RawFilesError, match=rf"bad\.json\.gz {reason}"):
        read_folder(tmp_path, TODAY)


def test_a_folder_must_be_there_and_hold_files(tmp_path: Path) -> None:
    with pytest.raises(RawFilesError, match="none is not a folder"):
        read_folder(tmp_path / "none", TODAY)
    with pytest.raises(RawFilesError, match=r"holds no \.json, \.jsonl or \.gz file"):
        read_folder(tmp_path, TODAY)


def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    (file,) = read_folder(tmp_path, TODAY)
    file.path.unlink()
    with pytest.raises(RawFilesError, match=r"a\.json cannot be read"):
        file.read()
