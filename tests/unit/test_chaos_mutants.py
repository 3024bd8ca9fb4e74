"""The mutants of the chaos harness name functions that the product has, and each stands in one group."""

from collections import Counter

import pytest

from tests.chaos.mutants import GROUPS, MUTANTS, place_of
from tests.chaos.scenarios.failpoints import KINDS, failpoints


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_replaces_what_is_there(name: str) -> None:
    mutant = MUTANTS[name]
    for where in (mutant.where, *mutant.also):
        place, function = place_of(where)
        assert callable(getattr(place, function))


def test_each_mutant_is_played_once() -> None:
    assert Counter(name for group in GROUPS for name in group) == Counter(list(MUTANTS))


def test_the_harness_knows_in_which_process_each_failpoint_is() -> None:
    names = failpoints()
    assert len(names) > 40
    assert {name.partition(".")[0] for name in names} == KINDS.keys()
