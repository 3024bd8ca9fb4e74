"""The runs, from the command line: `python -m tests.chaos --only kills --seed 7 --count 3`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.chaos.mutants import GROUPS, MUTANTS, SEPARATOR
from tests.chaos.scenario import Outcome, Scenario, play
from tests.chaos.scenarios.commands import COMMANDS
from tests.chaos.scenarios.disk import DISK
from tests.chaos.scenarios.events import PERMUTATIONS, POISON, REPLAYS
from tests.chaos.scenarios.failpoints import FAILPOINTS
from tests.chaos.scenarios.kills import KAFKA, KILLS, POSTGRES
from tests.chaos.scenarios.members import FREEZES, MEMBERS
from tests.chaos.scenarios.mutated import MUTATED
from tests.chaos.scenarios.networks import KAFKA_NETWORK, POSTGRES_NETWORK, S3
from tests.chaos.scenarios.rolling import ROLLING
from tests.chaos.scenarios.soak import SOAK
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = ROOT / ".local" / "test-chaos"
_ALL: Final = (
    FAILPOINTS,
    KILLS,
    KAFKA,
    KAFKA_NETWORK,
    POSTGRES,
    POSTGRES_NETWORK,
    S3,
    MEMBERS,
    FREEZES,
    ROLLING,
    COMMANDS,
    REPLAYS,
    POISON,
    PERMUTATIONS,
)
_ONLY_LONG: Final = (SOAK, DISK)
SCENARIOS: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in (*_ALL, *_ONLY_LONG)}
SHOWN: Final = 12
EXAMPLE: Final = 160  # letters


def main() -> int:
    """Play what the command line names, and say what became of it."""
    options = _parser().parse_args()
    names = options.only or ([] if options.mutant else [scenario.name for scenario in _ALL])
    groups = [(name,) for name in options.mutant] if options.mutant or options.only else list(GROUPS)
    failed = [name for name in names if not _play_scenario(name, options)]
    missed = [name for group in groups for name in _play_mutants(group, options.seed)]
    print(f"{len(names)} scenarios, failed: {failed or 'none'}")
    print(f"{sum(map(len, groups))} mutants, missed: {missed or 'none'}")
    return 1 if failed or missed else 0


def _play_scenario(name: str, options: argparse.Namespace) -> bool:
    scenario = SCENARIOS[name]
    count = options.count or (scenario.long if options.long else scenario.short)
    began = time.monotonic()
    outcome = asyncio.run(play(FOLDER, scenario, seed=options.seed, count=count, only=tuple(options.part)))
    print(report(outcome, time.monotonic() - began, options.part), flush=True)
    return outcome.passed


def _play_mutants(names: Sequence[str], seed: int) -> list[str]:
    """Play a short run with faults in the product; return those that the checker did not notice."""
    began = time.monotonic()
    failpoints = tuple(failpoint for name in names for failpoint in MUTANTS[name].failpoints)
    outcome = asyncio.run(play(FOLDER, MUTATED, seed=seed, count=1, only=failpoints, mutant=SEPARATOR.join(names)))
    found = outcome.verdict.violations
    missed = []
    for name in names:
        mutant = MUTANTS[name]
        hits = [
            f"{invariant}: {text[:EXAMPLE]}"
            for invariant in sorted(mutant.invariants)
            for text in found.get(invariant, ())
            if mutant.says in text
        ]
        print(f"{'caught' if hits else 'MISSED'} {name}: {len(hits)} times{', ' + hits[0] if hits else ''}")
        missed += [] if hits else [name]
    print(f"       {time.monotonic() - began:.0f} s", flush=True)
    if missed:
        print(report(outcome, time.monotonic() - began, failpoints), flush=True)
    return missed


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
    parser.add_argument(
        "--mutant", action="append", default=[], choices=sorted(MUTANTS), help="a fault to put into the services"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
