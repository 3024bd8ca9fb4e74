"""Mutants that no test can kill, because nothing that counts differs: equivalents.toml names each, and says why."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.mutants.mutants import Mutant

FILE: Final = ROOT / "tests" / "mutants" / "equivalents.toml"


@dataclass(frozen=True, slots=True)
class Equivalents:
    """What the file says.

    Attributes:
        mutants: path, lines before and lines after of each mutant.
        kinds: patterns of path, lines before and lines after, for mutants that are of no account wherever they stand.
    """

    mutants: frozenset[tuple[str, str, str]]
    kinds: tuple[tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]], ...]

    def holds(self, mutant: Mutant) -> bool:
        """Return True when the file names a mutant."""
        path, before, after = mutant.target.path, mutant.before, mutant.after
        return (path, before, after) in self.mutants or any(
            where.search(path) and old.search(before) and new.search(after) for where, old, new in self.kinds
        )


def read_equivalents() -> Equivalents:
    """Read the file."""
    content = tomllib.loads(FILE.read_text())
    mutants = ((entry["path"], entry["before"], entry["after"]) for entry in content["mutant"])
    kinds = (tuple(re.compile(kind.get(name, "")) for name in ("path", "before", "after")) for kind in content["kind"])
    return Equivalents(frozenset(mutants), tuple((where, old, new) for where, old, new in kinds))
