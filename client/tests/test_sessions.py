"""`exhaust sessions`: what it reads, what it tells, and bad input."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from datetime import date
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from client_support.commands import Ran, run
from client_support.downloads import day_zip, download

from telemetry_exhaust import Export
from telemetry_exhaust.sessions.reading import Reading
from telemetry_exhaust.sessions.trees import CUT

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 11, 1)
NOON = 1793534400000


def event(eid: str, at: float, kind: str = "", about: str = "", sid: str = "s1", **edata: Any) -> dict[str, Any]:
    """Make an event of 3.0, so many seconds after noon."""
    said = {"type": kind, **edata} if kind else edata
    found = {
        "eid": eid,
        "ets": NOON + int(at * 1000),
        "ver": "3.0",
        "mid": f"{eid}:{at}:{sid}:{kind}:{about}",
        "edata": said,
    }
    return {**found, "context": {"sid": sid, "did": "d1"}, "object": {"id": about, "type": "Content"}}


# An app whose second player has no END, then an END of a third.
MESSY = [
    event("START", 0, "app"),
    event("START", 1, "session"),
    event("START", 2, "player", "do_1", mode="play"),
    event("IMPRESSION", 3, pageid="stage-1"),
    event("END", 4, "player", "do_1", duration=2),
    event("START", 5, "player", "do_2", mode="play"),
    event("END", 6, "player", "do_3"),
    event("END", 9, "session", duration=8),
    event("END", 10, "app"),
]


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(found).encode() + b"\n" for found in events)


def outer(days: dict[date, bytes], failed: tuple[str, ...] = ()) -> bytes:
    """Make the download of some days, by their lines."""
    described: list[dict[str, Any]] = [
        {"day": day, "state": "failed", "code": "RAW_OBJECT_BROKEN", "message": "no"} for day in failed
    ]
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_STORED) as packed:
        for day, content in days.items():
            archive = day_zip(day, content)
            packed.writestr(f"{day}.zip", archive)
            source = {"object": f"{day}-1793493000000.json.gz", "events": content.count(b"\n")}
            facts = {"events": content.count(b"\n"), "bytes": len(content), "size": len(archive), "state": "ok"}
            digest = hashlib.sha256(archive).hexdigest()
            described.append({"day": str(day), **facts, "sha256": digest, "sources": [source]})
        packed.writestr("manifest.json", json.dumps({"request": {}, "days": described}))
    return buffer.getvalue()


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "messy.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(MESSY))
    return path


def shown(ran: Ran, first: str) -> list[list[str]]:
    """Return the rows of one table of a summary."""
    rows = [line.split("\t") for line in ran.stdout.splitlines()]
    at = next(number for number, row in enumerate(rows) if row[0] == first)
    return [row for row in rows[at + 1 :] if len(row) == len(rows[at])]


def test_a_summary_tells_each_deviation_with_file_and_line_then_the_figures(messy: Path) -> None:
    ran = run("sessions", str(messy))
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert shown(ran, "deviation")[:2] == [
        ["unfinished", "messy.jsonl", "6", "player do_2 has no END"],
        ["orphaned", "messy.jsonl", "7", "END of player of do_3 without a START"],
    ]
    assert shown(ran, "workflow")[0] == ["mobile app", "1", "9"]
    assert shown(ran, "part") == [
        ["player", "2", "1", "1", "0", "2.0", "2.0"],
        ["app", "1", "1", "0", "0", "10.0", "10.0"],
        ["session", "1", "1", "0", "0", "8.0", "8.0"],
    ]
    figures = dict(row for row in shown(ran, "figure") if len(row) == 2)
    assert (figures["plays"], figures["contents played"], figures["screens"]) == ("2", "2", "1")


@pytest.mark.parametrize(
    "kind", ["outer zip", "day zip", "day zips in a zip", "gzip", "gzip in a zip", "folder", "blank lines"]
)
def test_every_form_of_a_download_is_read_alike(kind: str, tmp_path: Path) -> None:
    content, path = lines(MESSY), tmp_path / "found"
    if kind == "outer zip":
        path.write_bytes(outer({DAY: content}))
    elif kind == "day zip":
        path.write_bytes(day_zip(DAY, content))
    elif kind in {"day zips in a zip", "gzip in a zip"}:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.mkdir("x") if hasattr(packed, "mkdir") else None
            packed.writestr("x/1.zip", day_zip(DAY, content)) if "day" in kind else packed.writestr(
                "x/1.gz", gzip.compress(content[:500]) + gzip.compress(content[500:])
            )
    elif kind == "gzip":
        path.write_bytes(gzip.compress(content))
    elif kind == "folder":
        path.mkdir()
        cut = content.index(b"\n", 600) + 1
        (path / "2026-11-01.zip").write_bytes(outer({DAY: content[cut:]}))
        (path / "2026-11-02.zip").write_bytes(outer({date(2026, 11, 2): content[:cut]}))
        (path / "other.txt").write_bytes(b"junk")
    else:
        path.write_bytes(content.replace(b"\n", b"\r\n\n \n"))
    (tree,) = Export.open(path).sessions() if kind == "outer zip" else trees(path)
    assert (tree["type"], tree["state"], tree["events"], tree["seconds"]) == ("app", "finished", 9, 10.0)
    (session,) = tree["parts"]
    assert [part["state"] for part in session["parts"]] == ["finished", "unfinished"]
    assert "ended" not in session["parts"][1]
    assert "seconds" not in session["parts"][1]


def trees(path: Path) -> list[dict[str, Any]]:
    target = path.with_name(f"{path.name}.trees")
    ran = run("sessions", str(path), "--format", "jsonl", "-o", str(target), "--quiet")
    assert (ran.exit_code, ran.output) == (0, "")
    return [json.loads(line) for line in target.read_text("utf-8").splitlines()]


def test_a_file_within_a_download_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "download.zip"
    path.write_bytes(outer({DAY: b"junk\n" + lines(MESSY)}))
    ran = run("sessions", str(path))
    where = "download.zip/2026-11-01.zip/2026-11-01-1793493000000.json"
    assert shown(ran, "deviation")[0][:3] == ["unreadable", where, "1"]
    assert shown(ran, "deviation")[1][:3] == ["unfinished", where, "7"]


def test_a_table_has_a_row_for_each_part(messy: Path, tmp_path: Path) -> None:
    target = tmp_path / "parts.csv"
    ran = run("sessions", str(messy), "--format", "csv", "-o", str(target))
    assert ran.exit_code == 0
    assert "2 deviations" in ran.stderr
    rows = list(csv.DictReader(target.read_text("utf-8").splitlines()))
    assert [(row["part"], row["within"], row["type"], row["line"], row["endline"]) for row in rows] == [
        ("1", "", "app", "1", "9"),
        ("2", "1", "session", "2", "8"),
        ("3", "2", "player", "3", "5"),
        ("4", "2", "player", "6", ""),
    ]
    assert (rows[2]["about"], rows[2]["said"], rows[2]["started"]) == ("do_1", "2.0", "2026-11-01T12:00:02.000Z")


def test_parquet_has_the_same_rows(messy: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run("sessions", str(messy), "--format", "parquet", "-o", str(tmp_path / "parts")).exit_code == 0
    rows = parquet.read_table(tmp_path / "parts").to_pylist()
    assert [(row["type"], row["seconds"]) for row in rows] == [
        ("app", 10.0),
        ("session", 8.0),
        ("player", 2.0),
        ("player", None),
    ]


def test_only_one_session_is_drawn_when_it_is_named(messy: Path, tmp_path: Path) -> None:
    messy.write_bytes(lines([*MESSY, event("START", 20, "session", sid="s2"), event("LOG", 21, sid="s3")]))
    for name, drawn in {"s2": "web portal: s2", "s3": "events in no part: s3"}.items():
        ran = run("sessions", str(messy), "--format", "tree", "--session", name, "-o", str(tmp_path / "drawn"))
        assert ran.exit_code == 0
        text = (tmp_path / "drawn").read_text("utf-8")
        assert (text.count("# "), drawn in text) == (1, True)
    ran = run("sessions", str(messy), "--session", "s9")
    assert (ran.exit_code, ran.stderr) == (2, "exhaust: no session 's9' is there\n")


@pytest.mark.parametrize("session", [(), ("--session", "s1")], ids=["histogram", "timeline"])
def test_a_picture_is_svg_that_shows_nothing_as_markup(session: tuple[str, ...], messy: Path, tmp_path: Path) -> None:
    hostile = "<script>&\"'\x1b"
    messy.write_bytes(lines([*MESSY, event("START", 6, hostile, hostile), event("END", 7, hostile, hostile)]))
    assert run("sessions", str(messy), *session, "--plot", str(tmp_path / "drawn.svg")).exit_code == 0
    drawn = ET.fromstring((tmp_path / "drawn.svg").read_text("utf-8"))
    names = {element.tag.rpartition("}")[2] for element in drawn.iter()}
    assert names == {"svg", "title", "rect", "text"}
    texts = [text.strip() for text in drawn.itertext()]
    labels = ["player: 1", "< 3 min", "longer"] if not session else ["0 s", "10.0 s", "· · player do_2"]
    assert [label for label in labels if label not in texts] == []
    assert run("sessions", str(messy), "--plot", "drawn.png").exit_code == 2


@pytest.mark.parametrize("kind", ["zip", "gz", "damaged", "no zip", "no events", "nothing", "no file"])
def test_what_is_cut_or_has_no_events_is_a_sentence_and_ends_with_1(kind: str, tmp_path: Path) -> None:
    whole = outer({DAY: lines(MESSY * 50)})
    content = {
        "zip": whole[: len(whole) // 2],
        "gz": gzip.compress(lines(MESSY))[:-20],
        "damaged": whole[:400] + b"\0\0\0\0" + whole[404:],
        "no zip": lines(MESSY),
        "no events": b"junk\n{}\n",
        "nothing": b"",
    }
    path = tmp_path / {"zip": "a.zip", "damaged": "a.zip", "no zip": "a.zip", "gz": "a.gz"}.get(kind, "a.jsonl")
    if kind in content:
        path.write_bytes(content[kind])
    for form in ("summary", "jsonl"):
        ran = run("sessions", str(path), "--format", form, "-o", str(tmp_path / "target"))
        assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.output
        assert ran.stderr.startswith("exhaust: ")
    assert not (tmp_path / "target").exists()


def test_a_day_that_a_download_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(outer({DAY: lines(MESSY)}, failed=("2026-11-02",)))
    ran = run("sessions", str(path))
    assert ran.exit_code == 0
    assert "2026-11-02 is missing" in ran.stderr


def test_a_download_of_the_platform_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(download("r", DAY, date(2026, 11, 3)))
    ran = run("sessions", str(tmp_path), "--json")
    assert ran.exit_code == 0
    assert {"figure": "events", "value": 60} in map(json.loads, ran.stdout.splitlines())


STRANGE: list[dict[str, Any]] = [
    {"eid": "START"},
    {"eid": ["START"], "ets": NOON},
    {"eid": "START", "ets": NOON, "edata": {"type": ["app"], "mode": 3}, "context": [], "object": "x", "ver": {"a": 1}},
    {"eid": "END", "ets": True, "ts": "2026-13-01T00:00:00Z"},
    {
        "eid": "END",
        "ets": float(NOON),
        "edata": {"type": "app", "duration": "long"},
        "context": {"sid": 7, "did": None},
    },
    {"eid": "LOG", "ts": "2026-11-01T12:00:00.5+0530", "cdata": [[], {"type": 5}, {"type": "Session", "id": "s1"}]},
    {"eid": "OE_END", "ets": 10**400, "edata": {"eks": {"length": -1}}, "gdata": [], "mid": 5},
    {"eid": "AUDIT", "ets": NOON, "object": {"type": "SERVICE"}, "edata": {"state": "READY"}, "context": {"sid": ""}},
    {"eid": "ME_X", "ets": NOON},
]


def test_values_of_any_type_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(STRANGE))
    ran = run("sessions", str(tmp_path))
    assert ran.exit_code == 0
    assert [row[0] for row in shown(ran, "deviation")[:3]] == ["untimed"] * 3
    assert len(trees(tmp_path / "a.jsonl")) == 4


def test_parts_in_one_another_without_end_are_taken(tmp_path: Path) -> None:
    nested = [event("START", number, f"kind {number}") for number in range(2_000)]
    (tmp_path / "a.jsonl").write_bytes(lines(nested))
    assert sum(count(tree) for tree in trees(tmp_path / "a.jsonl")) == 2_000


def count(tree: dict[str, Any]) -> int:
    return 1 + sum(count(part) for part in tree["parts"])


def test_a_tree_of_too_many_parts_is_cut_and_all_parts_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(lines([event("START", 0, "session")]))
        file.writelines(lines([event("START", number, "player", str(number))]) for number in range(50_100))
    reading = Reading([path])
    assert list(reading.read()) == []
    found, told = [], []
    for tree, deviations in reading.trees(keep=False):
        found.append((tree.type, sum(1 for _ in tree.walk())))
        told += [deviation.place for deviation in deviations if deviation.kind == CUT]
    assert found == [("session", 50_000), *[("player", 1)] * 101]
    assert told == [50_001]
