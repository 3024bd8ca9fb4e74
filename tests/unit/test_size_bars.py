"""The size bars of the style guide, measured on every tracked module; run with -s to read the figures."""

import ast
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ("schemas", "telemetry", "exhaust", "services", "admin", "client/src", "contract/src", "deploy", "bench")
TESTS = ("tests", "client/tests", "contract/tests")
MODULE_LINES = 400
MEDIAN_MODULE_LINES = 120
FUNCTION_LINES = 50
MOST_FUNCTION_LINES = 25
MOST = 0.9
SUPPRESSIONS = 12
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|mypy:|ruff:|pragma)")


each_part = pytest.mark.parametrize("folders", [HOUSE, TESTS], ids=["house", "tests"])


def modules(folders: tuple[str, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> list[tuple[str, int]]:
    """Every function as `file:line name` with its length in lines."""
    found = []
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        # Functions stand in statements, which are few beside the expressions in them.
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                waiting.append(node)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                found.append((name, (node.end_lineno or node.lineno) - node.lineno + 1))
    return found


@each_part
def test_modules_are_small(folders: tuple[str, ...]) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules(folders)}
    middle = median(length for path, length in lengths.items() if path.name != "__init__.py")
    print(f"\n{len(lengths)} modules, median {middle:.0f} lines, longest {max(lengths.values())}")
    assert [str(path) for path, length in lengths.items() if length > MODULE_LINES] == []
    assert middle <= MEDIAN_MODULE_LINES


@each_part
def test_functions_are_short(folders: tuple[str, ...]) -> None:
    lengths = sorted((length, name) for path in modules(folders) for name, length in functions(path))
    within = sum(length <= MOST_FUNCTION_LINES for length, _ in lengths) / len(lengths)
    print(f"\n{len(lengths)} functions, {within:.1%} within {MOST_FUNCTION_LINES} lines, longest {lengths[-1]}")
    assert [name for length, name in lengths if length > FUNCTION_LINES] == []
    assert within >= MOST


def test_suppressions_are_few_and_say_why() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in modules(HOUSE + TESTS)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if SUPPRESSION.search(line) and path != Path(__file__)
    ]
    print("\n" + "\n".join(found))
    assert len(found) <= SUPPRESSIONS
    assert [line for line in found if " -- " not in line and "]  # " not in line] == []
