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
    from pathlib import Path

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
LANES: Final = 2
SHOWN: Final = 12
EXAMPLE: Final = 160  # letters


def main() -> int:
    """Play what the command line names, or all of it, and say what became of it."""
    options = _parser().parse_args()
    if not options.only and not options.mutant:
        return asyncio.run(_play_all(options))
    failed = [name for name in options.only if not _play_scenario(name, options)]
    missed = _play_mutants(options.mutant, options) if options.mutant else []
    for text in [f"failed: {failed}"] * bool(failed) + [f"missed: {missed}"] * bool(missed):
        print(text)
    return 1 if failed or missed else 0


async def _play_all(options: argparse.Namespace) -> int:
    """Play all scenarios and mutants, each by a process and on a system of its own, some side by side.

    Most of a run is waiting. What fails here may be repeated by itself, as it says.
    """
    waiting = [["--only", scenario.name] for scenario in _ALL]
    waiting += [[part for name in group for part in ("--mutant", name)] for group in GROUPS]
    number = len(waiting)
    failed: list[str] = []

    async def play_one_after_another(lane: int) -> None:
        while waiting:
            what = waiting.pop(0)
            common: tuple[str, ...] = (
                "--seed",
                str(options.seed),
                "--lane",
                str(lane),
                *(["--long"] if options.long else []),
            )
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos", *what, *common), stdout=asyncio.subprocess.PIPE
            )
            told, _ = await process.communicate()
            print(told.decode(), end="", flush=True)
            if process.returncode:
                failed.append(" ".join(what))

    await asyncio.gather(*(play_one_after_another(lane) for lane in range(1, LANES + 1)))
    print(f"{number} runs, failed: {failed or 'none'}")
    return 1 if failed else 0


def _play_scenario(name: str, options: argparse.Namespace) -> bool:
    scenario = SCENARIOS[name]
    count = options.count or (scenario.long if options.long else scenario.short)
    began = time.monotonic()
    outcome = asyncio.run(play(_folder(options), scenario, seed=options.seed, count=count, only=tuple(options.part)))
    print(report(outcome, time.monotonic() - began, options.part), flush=True)
    return outcome.passed


def _play_mutants(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Play a short run with faults in the product; return those that the checker did not notice."""
    began = time.monotonic()
    failpoints = tuple(failpoint for name in names for failpoint in MUTANTS[name].failpoints)
    joined = SEPARATOR.join(names)
    outcome = asyncio.run(play(_folder(options), MUTATED, seed=options.seed, count=1, only=failpoints, mutant=joined))
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


def _folder(options: argparse.Namespace) -> Path:
    """Return the folder of the system: runs side by side have one each."""
    return FOLDER.with_name(f"{FOLDER.name}-{options.lane}") if options.lane else FOLDER


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
    parser.add_argument("--lane", type=int, default=0, help="so that runs side by side have folders of their own")
    parser.add_argument("--long", action="store_true", help="with the counts of `make chaos-long`")
    parser.add_argument(
        "--mutant", action="append", default=[], choices=sorted(MUTANTS), help="a fault to put into the services"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
