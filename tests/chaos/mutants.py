"""Mutants: faults that are put into the product on purpose, to see whether the checker notices each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MUTANTS: Final[dict[str, Callable[[], None]]] = {}


def apply_mutant(name: str) -> None:
    """Put a fault into this process, before any of its modules is imported."""
    MUTANTS[name]()
