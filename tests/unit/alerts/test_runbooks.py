"""The runbooks: one for each alert, with the same questions answered, and a rehearsal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from deploy.prometheus.__main__ import RULES
from tests.conftest import ROOT
from tests.runbooks.__main__ import REHEARSALS
from tests.runbooks.hurried_rules import hurry
from tests.runbooks.pages import FOLDER, HEADINGS, sections
from tests.unit.alerts.test_rules import ALERTS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {alert.removeprefix("Exhaust") for alert in ALERTS}

PAGES = sorted(FOLDER.glob("*.md"))


def test_each_alert_has_a_runbook_and_a_rehearsal_and_each_runbook_an_alert() -> None:
    assert {page.stem for page in PAGES} == NAMES == set(REHEARSALS)


def test_the_runbooks_that_verdicts_name_exist() -> None:
    text = (ROOT / "exhaust" / "lag" / "sentences.py").read_text()
    named = set(re.findall(r'^ +"([A-Z][A-Za-z]+)",$', text, re.MULTILINE))
    assert named == {"Blind", "NobodyReads", "Stuck", "Rewound", "OldestTooOld"} <= NAMES


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_runbook_answers_every_question_in_the_same_order(page: Path) -> None:
    found = sections(page.read_text())
    assert tuple(found) == HEADINGS
    assert all(text.strip() for text in found.values())
    assert all("```sh" in found[heading] for heading in ("Look", "How to know it is over"))
    assert "```" in found["Mend"]


def test_hurried_rules_differ_in_their_times_alone() -> None:
    rules = "  for: 5m\n  expr: a[30m] > 1800 and b[1h] < 3600 or c > 2160000 and d >= 5\n"
    assert hurry(rules) == "  for: 10s\n  expr: a[60s] > 60 and b[120s] < 120 or c > 2160000 and d >= 5\n"
    hurried = hurry(RULES.read_text())
    assert len(hurried.splitlines()) == len(RULES.read_text().splitlines())
    assert "[10m]" not in hurried
