"""`exhaust/` is the kit: a module is there because at least two processes use it."""

from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SERVICES = "services"
USERS_BESIDE_SERVICES = ("admin",)
FEWEST_USERS = 2
# Three kinds of code have one home, however few use it: SQL, so that the statements of a table stand side by side,
# calls of a driver, so that one folder knows its faults, and the actions of operators with what they stand on, so that
# page and command do and say the same.
ACTIONS = "exhaust.operations."
HOMES = ("exhaust.postgres.", ACTIONS)
DRIVERS = {"aioboto3", "aiobotocore", "aiokafka", "asyncpg"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "exhaust", SERVICES, *USERS_BESIDE_SERVICES, include_external_packages=True, cache_dir=None
    )


def has_one_home(graph: grimp.ImportGraph, module: str) -> bool:
    if any(importer.startswith(ACTIONS) for importer in graph.find_modules_that_directly_import(module)):
        return True
    return module.startswith(HOMES) or bool(DRIVERS & graph.find_modules_directly_imported_by(module))


def process_of(module: str) -> str | None:
    """The process that a module belongs to: `services.gateway` of `services.gateway.relay`; None within the kit."""
    root, _, rest = module.partition(".")
    if root == SERVICES:
        return f"{root}.{rest.partition('.')[0]}"
    return root if root in USERS_BESIDE_SERVICES else None


def users(graph: grimp.ImportGraph, module: str) -> set[str]:
    """The processes that import a module of the kit, directly or through another module of the kit."""
    found: set[str] = set()
    seen = {module}
    waiting = [module]
    while waiting:
        for importer in graph.find_modules_that_directly_import(waiting.pop()) - seen:
            seen.add(importer)
            process = process_of(importer)
            if process is None:
                waiting.append(importer)
            else:
                found.add(process)
    return found


def kit() -> list[str]:
    """Every module of the kit; an `__init__` only names a room."""
    paths = sorted((ROOT / "exhaust").rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths if path.name != "__init__.py"]


def test_every_module_of_the_kit_has_two_users(graph: grimp.ImportGraph) -> None:
    counted = {module: users(graph, module) for module in kit()}
    few = {module: found for module, found in counted.items() if len(found) < FEWEST_USERS}
    print(f"\n{len(counted)} modules of the kit, {len(few)} with fewer than {FEWEST_USERS} users: {sorted(few)}")
    assert {module: found for module, found in few.items() if not has_one_home(graph, module)} == {}


def test_no_module_of_the_kit_is_unused(graph: grimp.ImportGraph) -> None:
    assert [module for module in kit() if not users(graph, module)] == []
