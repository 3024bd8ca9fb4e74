"""Runbooks as pages: links to one another work, those to other files lead nowhere, and HTML in them is text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer

from exhaust.process.health import Health
from services.console.app import console_app
from services.console.runbooks import runbook_page

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_runbook_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "Stuck.md").write_text(
        "# Stuck\n\n<script>x</script> [next](Blind.md#look) [file](../lag.md) [site](https://example.org/)"
        " [bad](javascript:alert(1))\n\n```sh\nexhaustctl now\n```\n\n| a |\n| --- |\n| b |\n"
    )
    app = console_app(Health(), [runbook_page(tmp_path)], prefix="/ops")
    async with TestClient(TestServer(app)) as client:
        text = await (await client.get("/ops/runbooks/Stuck", headers={"Accept": "text/html"})).text()
        told = await (await client.get("/ops/runbooks/Stuck")).json()
        for name in ("Other", "..%2FStuck", "Stuck.md"):
            assert (await client.get(f"/ops/runbooks/{name}")).status == 404
    assert told["markdown"].startswith("# Stuck")
    assert "<h1>Stuck</h1>" in text
    assert "<td>b</td>" in text
    assert '<a href="/ops/runbooks/Blind">next</a>' in text
    assert "<a>file</a>" in text
    assert '<a href="https://example.org/">site</a>' in text
    assert "<script>x" not in text
    assert 'href="javascript' not in text
