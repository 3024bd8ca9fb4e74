"""The modules that are mutated, and the unit tests beside each of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Modules and folders of pure code: what they compute is decided by unit tests alone.
TARGETS: Final = (
    "telemetry",
    "exhaust/domain",
    "services/aggregator/archive",
    "services/aggregator/scan",
    "services/status/claims.py",
    "exhaust/kafka/offsets.py",
    "exhaust/operations/explanation.py",
    "exhaust/http/reading_speed.py",
    "services/gateway/rate_limits.py",
    "services/gateway/shares.py",
    "services/gateway/token_buckets.py",
)
NOT_PURE: Final = (ROOT / "services/aggregator/scan/worker_process.py",)  # tests on real servers decide it
UNIT_TESTS: Final = ROOT / "tests" / "unit"
PRODUCT: Final = ("telemetry", "exhaust", "services")


@dataclass(frozen=True, slots=True)
class Target:
    """A module that is mutated.

    Attributes:
        path: of its file, from the root of the project.
        own_tests: files of unit tests that bear the module's name; most mutants end there.
        other_tests: the other ones that import it.
    """

    path: str
    own_tests: tuple[str, ...]
    other_tests: tuple[str, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """All of them, in the order in which they run."""
        return self.own_tests + self.other_tests

    @property
    def module(self) -> str:
        """The name by which it is imported."""
        return _name_of(self.path)


def all_targets() -> list[Target]:
    """Return every module that is mutated, with its tests."""
    paths = sorted(path for target in TARGETS for path in _modules(ROOT / target))
    return [target_of(path) for path in paths]


def target_of(path: str) -> Target:
    """Return a module with its tests: those that import it, or else those that import one of its importers."""
    module = _name_of(path)
    found = _tests_that_import({module}) or _tests_that_import(_importers(module))
    own = {test for test in found if test.endswith(f"/test_{module.rpartition('.')[2]}.py")}
    return Target(path, tuple(sorted(own)), tuple(sorted(found - own)))


def _modules(place: Path) -> Iterator[str]:
    for path in [place] if place.is_file() else place.rglob("*.py"):
        if path.name != "__init__.py" and path not in NOT_PURE:
            yield str(path.relative_to(ROOT))


def _tests_that_import(modules: set[str]) -> set[str]:
    return {test for test, imported in _imports_of_tests().items() if imported & modules}


def _importers(module: str) -> set[str]:
    return {_name_of(path) for path, found in _imports_of_product().items() if module in found}


def _name_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


@cache
def _imports_of_tests() -> Mapping[str, set[str]]:
    return {str(path.relative_to(ROOT)): _imports(path) for path in UNIT_TESTS.rglob("test_*.py")}


@cache
def _imports_of_product() -> Mapping[str, set[str]]:
    return {path: _imports(ROOT / path) for folder in PRODUCT for path in _modules(ROOT / folder)}


def _imports(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it; a name of a module as if it were a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
