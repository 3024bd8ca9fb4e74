"""What `make mutants` leaves out, and what it runs, is still there."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.mutants.equivalents import read_equivalents
from tests.mutants.targets import TARGETS, all_targets


def test_an_equivalent_mutant_changes_lines_that_exist() -> None:
    for path, before, _ in read_equivalents().mutants:
        assert before in " ".join((ROOT / path).read_text().split()), f"{path} has no {before!r} any more"


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_modules_and_each_of_them_unit_tests(target: str) -> None:
    found = [each for each in all_targets() if each.path.startswith(target)]
    assert found
    assert [each.path for each in found if not each.tests] == []
