"""Tests the unit tests: each mutant is the product with one small fault, which a unit test beside it has to notice.

`make mutants` takes a sample by a seed (SEED=7), of all targets or of one module (MODULE=telemetry/ownership.py), and
prints the mutants that live. Exit code 1 when more than a tenth of them do.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.mutants.equivalents import read_equivalents
from tests.mutants.mutants import mutant_of, shuffled_candidates
from tests.mutants.targets import all_targets, target_of
from tests.mutants.trial import Verdict, import_libraries, run_trials, start_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.mutants.mutants import Mutant
    from tests.mutants.targets import Target
    from tests.mutants.trial import Trial

ENOUGH: Final = 0.9
SAMPLE: Final = 400
LIMIT: Final = timedelta(minutes=10)
JOBS: Final = len(os.sched_getaffinity(0))
FIRST_LIMIT_S: Final = 60  # of tests whose time is not known yet
TIMES_AS_LONG, AND_S = 3, 4


@dataclass(slots=True)
class Result:
    """What came of a sample."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """The mutants that were noticed."""
        return self.verdicts[Verdict.KILLED] + self.verdicts[Verdict.TIMED_OUT]

    @property
    def share(self) -> float:
        """The part of the mutants that was noticed."""
        return self.killed / max(1, self.verdicts.total())


def main() -> int:
    """Run a sample, print what lived, and return the exit code."""
    options = _options()
    started = time.monotonic()
    targets = [target_of(path) for path in options.module] or all_targets()
    import_libraries()
    limits = _limits(targets)
    result = _run(targets, limits, options)
    for mutant in sorted(result.survivors, key=lambda mutant: mutant.target.path):
        print(f"\n{mutant.diff}")
    print(
        f"\nseed {options.seed}: {result.verdicts.total()} mutants of {len(targets)} modules, {result.killed} killed"
        f" ({result.verdicts[Verdict.TIMED_OUT]} by their time), {len(result.survivors)} live: {result.share:.1%}."
        f" {result.equivalent} equivalent ones were left out. {time.monotonic() - started:.0f} s"
    )
    return 0 if result.share >= ENOUGH and not result.verdicts[Verdict.BROKEN] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", default=[], help="path of a module, instead of all targets")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="mutants; 0 takes all")
    parser.add_argument("--minutes", type=float, default=LIMIT.total_seconds() / 60, help="start no mutant after them")
    return parser.parse_args()


def _limits(targets: Sequence[Target]) -> dict[Target, int]:
    """Run the tests of every module unchanged; return how long they may take. Tests that fail end everything."""
    untested = [target.path for target in targets if not target.own_tests + target.other_tests]
    if untested:
        sys.exit(f"no unit test imports {', '.join(untested)}")
    limits = {}
    with tempfile.TemporaryDirectory() as folder:
        logs = {target: Path(folder) / target.module for target in targets}

        def trials() -> Iterator[tuple[Target, Callable[[], Trial]]]:
            for target, log in logs.items():
                yield target, partial(start_trial, target, None, limit=FIRST_LIMIT_S, log=str(log))

        for target, verdict, seconds in run_trials(trials(), JOBS):
            limits[target] = AND_S + math.ceil(TIMES_AS_LONG * seconds)
            if verdict is not Verdict.SURVIVED:
                sys.exit(f"{logs[target].read_text()}\nthe tests of {target.path} fail without any mutant")
    return limits


def _run(targets: Sequence[Target], limits: dict[Target, int], options: argparse.Namespace) -> Result:
    result = Result()
    ends = time.monotonic() + options.minutes * 60

    def trials() -> Iterator[tuple[Mutant, Callable[[], Trial]]]:
        for mutant in _sample(targets, options, result):
            if time.monotonic() > ends:
                return
            yield mutant, partial(start_trial, mutant.target, mutant.text, limit=limits[mutant.target])

    for mutant, verdict, _ in run_trials(trials(), JOBS):
        result.verdicts[verdict] += 1
        if verdict in {Verdict.SURVIVED, Verdict.BROKEN}:
            result.survivors.append(mutant)
    return result


def _sample(targets: Sequence[Target], options: argparse.Namespace, result: Result) -> Iterator[Mutant]:
    equivalents, texts, number = read_equivalents(), set(), 0
    for candidate in shuffled_candidates(targets, options.seed):
        mutant = mutant_of(candidate)
        if mutant is None or mutant.text in texts:
            continue
        texts.add(mutant.text)
        if equivalents.holds(mutant):
            result.equivalent += 1
            continue
        yield mutant
        number += 1
        if number == options.sample:
            return


if __name__ == "__main__":
    sys.exit(main())
