"""The pages for operators: the index leads to each, and their links lead somewhere."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

OPERATIONS: Final = ROOT / "docs" / "operations"
INDEX: Final = OPERATIONS / "README.md"
LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
PAGES: Final = sorted((ROOT / "docs").rglob("*.md")) + sorted(ROOT.glob("*.md"))


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for place, anchor in LINK.findall(page.read_text()):
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_the_index_leads_to_each_page_for_operators() -> None:
    linked = {(OPERATIONS / place).resolve() for place, _ in LINK.findall(INDEX.read_text()) if place}
    assert set(OPERATIONS.rglob("*.md")) - {INDEX} <= linked


@pytest.mark.parametrize("page", sorted((OPERATIONS / "failures").glob("*.md")), ids=lambda path: path.stem)
def test_a_page_about_a_failure_answers_every_question(page: Path) -> None:
    headings = HEADING.findall(page.read_text())
    for wanted in (
        "How it looks",
        "What the system does by itself",
        "What to do",
        "It is over when",
        "Checked against a run",
    ):
        assert any(heading.startswith(wanted) for heading in headings), wanted
