"""The runbooks: their sections, their commands, and what a rehearsal wrote into them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.conftest import ROOT
from tests.support.doc_examples import BLOCK

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ROOT / "docs" / "runbooks"
HEADINGS: Final = ("Meaning", "Who suffers", "Look", "Mend", "How to know it is over")
REHEARSED: Final = "### Rehearsed"
_SECTION: Final = re.compile(r"^## (.*)$", re.MULTILINE)


def page(alert: str) -> Path:
    return FOLDER / f"{alert}.md"


def sections(text: str) -> dict[str, str]:
    """The text under each heading."""
    parts = _SECTION.split(text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(alert: str, heading: str) -> list[tuple[str, str]]:
    """The blocks of a section: language and code."""
    return BLOCK.findall(sections(page(alert).read_text())[heading])


def write_rehearsed(alert: str, facts: str) -> None:
    """Put what a rehearsal saw at the end of a page, in place of what another saw."""
    path = page(alert)
    path.write_text(f"{path.read_text().partition(REHEARSED)[0].rstrip()}\n\n{REHEARSED}\n\n{facts}\n")
