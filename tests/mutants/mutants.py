"""The mutants of a module: its text with one small change, by the operators of Cosmic Ray."""

from __future__ import annotations

import ast
import difflib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.mutants.targets import Target

# Left out: operators that need names of variables, and those that exchange identity and equality, which are the same
# for most values.
_OF_VARIABLES: Final = ("VariableReplacer", "VariableInserter")
_IDENTITY: Final = frozenset({"Is", "IsNot"})
_COMPARISON: Final = "ReplaceComparisonOperator_"


def operator_names() -> list[str]:
    """Return the names of the operators that are used."""
    return [name for name in OperatorProvider() if name not in _OF_VARIABLES and _keeps_kind(name)]


def _keeps_kind(operator: str) -> bool:
    if not operator.startswith(_COMPARISON):
        return True
    before, after = operator.removeprefix(_COMPARISON).split("_")
    return (before in _IDENTITY) == (after in _IDENTITY)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change.

    Attributes:
        text: the whole module.
        before: the lines that go, without indentation.
        after: the lines that come in their place.
        diff: for people.
    """

    target: Target
    operator: str
    text: str
    before: str
    after: str
    diff: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where an operator applies: the mutant itself is made only when its turn comes."""

    target: Target
    operator: str
    occurrence: int


def shuffled_candidates(targets: Sequence[Target], seed: int) -> list[Candidate]:
    """Return all places of these modules in the order of a seed."""
    found = [candidate for target in targets for candidate in _candidates(target)]
    random.Random(seed).shuffle(found)  # noqa: S311 -- a sample that can be drawn again
    return found


def mutant_of(candidate: Candidate) -> Mutant | None:
    """Return the mutant of a place; None where the change is none to a running program, such as in an annotation."""
    text = (ROOT / candidate.target.path).read_text()
    operator = OperatorProvider()[candidate.operator]()
    changed = mutate_code(text, operator, candidate.occurrence)
    if changed is None or _meaning(changed) in {None, _meaning(text)}:
        return None
    old, new = text.splitlines(), changed.splitlines()
    lines = list(difflib.unified_diff(old, new, candidate.target.path, candidate.operator, lineterm="", n=2))
    return Mutant(candidate.target, candidate.operator, changed, _part(lines, "-"), _part(lines, "+"), "\n".join(lines))


def _candidates(target: Target) -> Iterator[Candidate]:
    nodes = list(ast_nodes(get_ast((ROOT / target.path).read_text())))
    for name in operator_names():
        operator = OperatorProvider()[name]()
        places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        yield from (Candidate(target, name, occurrence) for occurrence in range(places))


def _part(diff: list[str], sign: str) -> str:
    return " ".join(" ".join(line[1:] for line in diff[2:] if line.startswith(sign)).split())


def _meaning(text: str) -> str | None:
    """Return all that counts when a module runs; None when it is no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    return ast.dump(_WithoutTypes().visit(tree))


class _WithoutTypes(ast.NodeTransformer):
    """Takes out what is there for types alone: annotations, which nothing evaluates, and imports for them."""

    def visit_If(self, node: ast.If) -> ast.If | None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node
