"""The alerts, by Prometheus' own checker."""

from __future__ import annotations

import pytest

from deploy.prometheus.__main__ import HERE, RULES
from tests.support.promtool import PromtoolMissingError, find_promtool, promtool


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    try:
        find_promtool()
    except PromtoolMissingError as missing:
        pytest.skip(f"the alerts were not tested: {missing}")
    for command in (("check", "rules", RULES), ("test", "rules", HERE / "tests.yaml")):
        told = promtool(*command)
        assert told.code == 0, told.text
