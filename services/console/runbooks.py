"""The runbooks, as pages of the console: what docs/runbooks says, for those who have no other place for it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from services.console.pages import Page

if TYPE_CHECKING:
    from aiohttp import web

    from services.console.pages import Document

PACKAGED: Final = Path(__file__).with_name("runbooks")
FOLDER: Final = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "docs" / "runbooks"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}", re.ASCII)


def runbook_page(folder: Path = FOLDER) -> Page:
    """Build the page of a runbook."""

    async def runbook(request: web.Request) -> Document:
        name = request.match_info["name"]
        path = folder / f"{name}.md"
        if not _NAME.fullmatch(name) or not await asyncio.to_thread(path.is_file):
            raise ExhaustError(ErrorCode.NOT_FOUND, "there is no such runbook")
        return {"name": name, "markdown": await asyncio.to_thread(path.read_text, encoding="utf-8")}

    return Page("/runbooks/{name}", "", "runbook.html", runbook)
