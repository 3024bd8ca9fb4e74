"""Files and folders that documents, comments and docstrings name are really there."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

HOUSE = (
    "schemas",
    "telemetry",
    "exhaust",
    "services",
    "admin",
    "client",
    "contract",
    "deploy",
    "bench",
    "tests",
    "docs",
)
PLACE = re.compile(rf"(?<![\w./-])(?:{'|'.join(HOUSE)})/[A-Za-z0-9_./-]*[A-Za-z0-9_/]")
MODULE = re.compile(r"(?<![\w./-])[a-z_]+(?:/[a-z_]+)*\.py\b")


def files(pattern: str) -> list[Path]:
    """The files of the house with such a name, and those at its root."""
    return sorted([*ROOT.glob(pattern), *(path for folder in HOUSE for path in (ROOT / folder).rglob(pattern))])


MODULES = {path.relative_to(ROOT).as_posix() for path in files("*.py")}


@pytest.mark.parametrize("page", files("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_place_that_a_page_names_is_there(page: Path) -> None:
    named = {place.rstrip("/") for place in PLACE.findall(page.read_text())}
    assert sorted(place for place in named if not (ROOT / place).exists()) == []


def test_every_module_that_a_comment_or_docstring_names_is_there() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files("*.py")
        for name in MODULE.findall(path.read_text())
        if not any(module == name or module.endswith(f"/{name}") for module in MODULES)
    }
    assert sorted(missing) == []
