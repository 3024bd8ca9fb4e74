"""docs/your-data.md does what it says, where the libraries that it names are installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from client_support.fake_gateway import OWNER

if TYPE_CHECKING:
    from client_support.fake_gateway import FakeGateway

PAGE = Path(__file__).parents[2] / "docs" / "your-data.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_runs(
    settings: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for library in ("pandas", "polars", "duckdb"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXHAUST_PARTNER", OWNER)
    names: dict[str, object] = {}
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert shown.count(" ok 20") == 7
    assert "IMPRESSION" in shown
    assert "('t1',)" in shown
    assert len(blocks) == 5
    assert len(settings.requests) == 1
