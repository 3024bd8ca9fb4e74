"""What the command prints: a table on a terminal, lines with tabs in a pipe, and nothing that steers a terminal."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from admin.tables import AS_JSON, print_table, printable, tell

HEADINGS = ("client", "ends")
NAME = "[bold red]maple[/]\x1b[31m\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_pipe_rows_are_lines_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS, [(NAME, None), ("oak", datetime(2026, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5.5))))])
    lines = ["client\tends", "[bold red]maple[/]\\x1b[31m\\n\t-", "oak\t2026-01-01T00:00:00Z"]
    assert capsys.readouterr().out.splitlines() == lines


def test_on_a_terminal_it_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(HEADINGS, [(NAME, None)])
    printed = terminal.getvalue()
    assert "[bold red]maple[/]\\x1b[31m\\n" in printed
    assert "│" in printed
    assert "\t" not in printed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, "7"),
        ("é ü क", "é ü क"),
        ("\x00\x7f\x9b\u202e\u2028", "\\x00\\x7f\\x9b\\u202e\\u2028"),
        ("\ud800", "\\ud800"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
    ],
    ids=ascii,
)
def test_a_cell_is_one_harmless_line(value: object, expected: str) -> None:
    assert printable(value) == expected


def test_as_json_rows_are_objects_that_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    token = AS_JSON.set(True)
    try:
        print_table(("key name", "ends"), [(f"{NAME}\x9b\u202e", None), ("oak", datetime(2026, 1, 1, tzinfo=UTC))])
        tell("Done.", {"removed": 2})
    finally:
        AS_JSON.reset(token)
    out = capsys.readouterr().out
    rows, told = map(json.loads, out.splitlines())
    assert rows == [{"keyname": f"{NAME}\x9b\u202e", "ends": None}, {"keyname": "oak", "ends": "2026-01-01T00:00:00Z"}]
    assert told == {"message": "Done.", "removed": 2}
    assert out.isascii()
    assert "\x1b" not in out
