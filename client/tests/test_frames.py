"""Dataframes from downloads with mixed telemetry versions, with each library that is installed."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from client_support.commands import run
from client_support.downloads import download

from telemetry_exhaust import Export, UsageError, frames
from telemetry_exhaust import columns as columns_module
from telemetry_exhaust.event_values import tags_of

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 50
COLUMNS = ["eid", "ets", "context.channel", "tags"]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setattr(columns_module, "BATCH_EVENTS", 7)
    path = tmp_path / "data" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(download("r", date(2026, 11, 1), date(2026, 11, 2), events=EVENTS))
    return Export.open(path.parent)


def test_lines_and_events_are_those_of_the_manifest(export: Export) -> None:
    assert [(str(day.day), day.state, day.events) for day in export.days] == [
        ("2026-11-01", "ok", EVENTS),
        ("2026-11-02", "ok", EVENTS),
    ]
    assert all(day.problem is None for day in export.verify())
    assert len(list(export.lines())) == len(list(export.events())) == 2 * EVENTS
    assert {event["eid"] for event in export.events(eids=["GE_START"])} == {"GE_START"}
    assert len(list(export.events(tags=["g1"]))) + len(list(export.events(tags=["é"]))) == 2 * EVENTS


def rows_of(library: str, export: Export, names: list[str] | None) -> list[dict[str, Any]]:
    pytest.importorskip(library)
    if library == "polars":
        found: list[dict[str, Any]] = export.to_polars(names).to_dicts()
    elif library == "pandas":
        frame = export.to_pandas(names)
        found = json.loads(frame.to_json(orient="records"))
    elif library == "pyarrow":
        found = export.to_arrow(names).to_pylist()
    else:
        table = export.to_duckdb(names, table='my "events"').execute('SELECT * FROM "my ""events"""')
        headers = [column[0] for column in table.description]
        found = [dict(zip(headers, row)) for row in table.fetchall()]
    return found


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow", "duckdb"])
@pytest.mark.parametrize("names", [COLUMNS, None], ids=["some", "all"])
def test_mixed_types_of_one_field_are_one_column_of_text(library: str, names: list[str] | None, export: Export) -> None:
    rows = rows_of(library, export, names)
    assert len(rows) == 2 * EVENTS
    assert rows[0]["tags"] == '[{"genie":["g1"]}]'
    assert rows[1]["tags"] == '["t1","é"]'
    assert rows[1]["ets"] == 1793493000001
    if names:
        assert list(rows[0]) == names
        assert (rows[0]["context.channel"], rows[1]["context.channel"]) == (None, "in.test")
    else:
        assert rows[0]["context"] is None
        assert json.loads(rows[1]["context"])["channel"] == "in.test"


def odd_export(folder: Path) -> Export:
    """One field with another type in each batch: nothing, whole numbers, numbers, then all sorts."""
    values = [*[None] * 7, *range(7), *[0.5] * 7, 2**70, "x\ud800", True, {"a": [1]}, [], None, 1]
    lines = "".join(
        json.dumps({"eid": "A", "x": value} if value is not None else {"eid": "A"}) + "\n" for value in values
    )
    day = io.BytesIO()
    with zipfile.ZipFile(day, "w") as packed:
        packed.writestr("a.json", lines)
    told = {"day": "2026-11-01", "state": "ok", "events": len(values), "bytes": len(lines), "size": 1, "sha256": ""}
    path = folder / "odd.zip"
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("2026-11-01.zip", day.getvalue())
        outer.writestr("manifest.json", json.dumps({"days": [{**told, "sources": []}]}))
    return Export([path])


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow", "duckdb"])
def test_a_column_widens_from_batch_to_batch(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "BATCH_EVENTS", 7)
    found = [row["x"] for row in rows_of(library, odd_export(tmp_path), None)]
    assert found[:7] == [None] * 7
    assert [float(value) for value in found[7:21]] == [0, 1, 2, 3, 4, 5, 6, *[0.5] * 7]
    assert found[22:] == ["x?", "true", '{"a":[1]}', "[]", None, "1"]


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(UsageError, match=r"pip install 'telemetry-exhaust-client\[no_such_library\]'"):
        frames.load("no_such_library")


def test_tags_are_found_wherever_a_version_keeps_them() -> None:
    event = {"tags": ["a", ["b"], {"genie": "c", "dims": ["d"]}, 7], "etags": {"app": ["e"]}, "genieTag": "f"}
    assert tags_of(event) == set("abcdef")


def test_read_prints_lines_as_they_were_received(export: Export) -> None:
    folder = str(export.paths[0].parent)
    target = export.paths[0].parent / "all.jsonl"
    assert run("read", folder, "-o", str(target)).exit_code == 0
    assert target.read_bytes().splitlines() == list(export.lines())
    assert run("read", folder, "--eid", "GE_START", "-o", str(target)).exit_code == 0
    assert {json.loads(line)["eid"] for line in target.read_text("utf-8").splitlines()} == {"GE_START"}
    assert run("read", folder, "--columns", "eid,tags", "--format", "csv", "-o", str(target)).exit_code == 0
    assert target.read_text("utf-8").splitlines()[:2] == ["eid,tags", 'GE_START,"[{""genie"":[""g1""]}]"']


def test_a_cut_download_is_refused_and_leaves_no_file(export: Export) -> None:
    path, target = export.paths[0], export.paths[0].parent / "out.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    ran = run("read", str(path), "-o", str(target))
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (2, 1)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
