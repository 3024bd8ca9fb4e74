"""A few cheap runs of the chaos harness. `make chaos` plays all of it."""

from __future__ import annotations

import time

import pytest

from tests.chaos.__main__ import FOLDER, SCENARIOS, report
from tests.chaos.scenario import play

SEED = 1
FAILPOINTS = ("relay.after_publish:1", "day.after_marker:1", "status.after_commit:1")


@pytest.mark.parametrize(
    ("name", "count", "parts"),
    [("failpoints", 1, FAILPOINTS), ("replays", 2, ()), ("kafka", 1, ())],
    ids=["crashes", "repeated and reordered events", "a killed broker"],
)
async def test_all_invariants_hold_after(name: str, count: int, parts: tuple[str, ...]) -> None:
    began = time.monotonic()
    folder = FOLDER.with_name("test-chaos-few")
    outcome = await play(folder, SCENARIOS[name], seed=SEED, count=count, only=parts)
    told = report(outcome, time.monotonic() - began, parts)
    print(told)
    assert outcome.passed, told
