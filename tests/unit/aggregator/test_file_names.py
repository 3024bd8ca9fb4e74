"""The files that the aggregator's docstrings name, such as those of the way of a day, exist."""

import ast
import re
from pathlib import Path

import pytest

AGGREGATOR = Path(__file__).parents[3] / "services" / "aggregator"
MODULES = sorted(AGGREGATOR.rglob("*.py"))
FILE = re.compile(r"[\w/]+\.py\b")


def named_files(module: Path) -> list[str]:
    tree = ast.parse(module.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return [name for docstring in docstrings for name in FILE.findall(docstring)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(AGGREGATOR)))
def test_files_that_docstrings_name_exist(module: Path) -> None:
    roots = (module.parent, AGGREGATOR)
    missing = [name for name in named_files(module) if not any((root / name).is_file() for root in roots)]
    assert missing == []


def test_the_way_of_a_day_names_its_files() -> None:
    chain = named_files(AGGREGATOR / "day_worker.py")
    assert {"build/day_builder.py", "build/day_plan.py", "build/day_scan.py", "build/archive_upload.py"} <= set(chain)
