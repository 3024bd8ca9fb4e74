"""The runs, from the command line: `python -m tests.chaos --only kills --seed 7 --count 3`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.chaos.scenario import Outcome, Scenario, play
from tests.chaos.scenarios.failpoints import FAILPOINTS
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = ROOT / ".local" / "test-chaos"
SCENARIOS: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in (FAILPOINTS,)}
SHOWN: Final = 12


def main() -> int:
    """Play the scenarios that the command line names, and say what became of them."""
    options = _parser().parse_args()
    names = options.only or list(SCENARIOS)
    failed = 0
    for name in names:
        scenario = SCENARIOS[name]
        count = options.count or (scenario.long if options.long else scenario.short)
        began = time.monotonic()
        outcome = asyncio.run(
            play(FOLDER, scenario, seed=options.seed, count=count, only=tuple(options.part), mutant=options.mutant)
        )
        print(report(outcome, time.monotonic() - began, options.part), flush=True)
        failed += not outcome.passed
    return min(failed, 1)


def report(outcome: Outcome, seconds: float, parts: Sequence[str]) -> str:
    """Return what a reader has to know of a run; of a failed one, all of it."""
    fired = ", ".join(f"{kind} x {number}" for kind, number in sorted(outcome.fired.items()))
    lines = [
        (
            f"{'ok' if outcome.passed else 'FAILED':7}{outcome.scenario}: seed {outcome.seed}, count {outcome.count},"
            f" {seconds:.0f} s, quiet after {outcome.verdict.quiet_after:.1f} s"
        ),
        f"       fired: {fired or 'nothing'}",
        f"       looked at: {outcome.verdict.counted}; answers {dict(sorted(outcome.answers.items()))}",
    ]
    if not outcome.passed:
        lines += [f"       never fired: {kind}" for kind in outcome.never_fired]
        for invariant, violations in sorted(outcome.verdict.violations.items()):
            lines += [f"  {invariant}: {text}" for text in violations[:SHOWN]]
            lines += [f"  {invariant}: and {len(violations) - SHOWN} more"] if len(violations) > SHOWN else []
        named = "".join(f" --part {part}" for part in parts)
        lines += ["  timeline:", outcome.timeline]
        lines += [
            (
                f"  again: .venv/bin/python -m tests.chaos --only {outcome.scenario} --seed {outcome.seed}"
                f" --count {outcome.count}{named}"
            )
        ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(SCENARIOS), help="a scenario; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: 1)")
    parser.add_argument("--count", type=int, help="faults, or rounds of them (default: the scenario's)")
    parser.add_argument("--part", action="append", default=[], help="only this part, such as one failpoint")
    parser.add_argument("--long", action="store_true", help="with the counts of `make chaos-long`")
    parser.add_argument("--mutant", help="put this fault into the services")
    return parser


if __name__ == "__main__":
    sys.exit(main())
