"""The alerts: each has a severity, a sentence and a runbook, and unit tests in which it fires and is quiet."""

from __future__ import annotations

from typing import Any, Final

import pytest
import yaml

from deploy.prometheus.__main__ import HERE, RULES

ALERTS: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
TESTS: Final = yaml.safe_load((HERE / "tests.yaml").read_text())["tests"]
BASE: Final = "https://runbooks.example.org"
QUIET: Final = (
    "an idle night",
    "a day of 20 minutes",
    "held by limit",
    "one partner floods",
    "a consumer that just started",
    "a rebalance",
)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_urgent_it_is_what_is_the_matter_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{BASE}/{alert.removeprefix('Exhaust')}.md"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_and_is_quiet_in_its_tests(alert: str) -> None:
    looks = [look for test in TESTS for look in test["alert_rule_test"] if look["alertname"] == alert]
    assert any(look.get("exp_alerts") for look in looks)
    assert any(not look.get("exp_alerts") for look in looks)


@pytest.mark.parametrize("case", QUIET)
def test_no_alert_fires_in_a_quiet_case(case: str) -> None:
    (test,) = [test for test in TESTS if test["name"].startswith(f"quiet, {case}")]
    assert {look["alertname"] for look in test["alert_rule_test"]} == set(ALERTS)
    assert not any("exp_alerts" in look for look in test["alert_rule_test"])
