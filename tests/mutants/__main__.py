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
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.mutants.equivalents import read_equivalents
from tests.mutants.mutants import mutant_of, shuffled_candidates
from tests.mutants.targets import Target, all_targets, target_of
from tests.mutants.trial import Verdict, import_libraries, run_trials, start_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.mutants.mutants import Mutant
    from tests.mutants.trial import Trial

ENOUGH: Final = 0.9
SAMPLE: Final = 400
LIMIT: Final = timedelta(minutes=9)  # the last ones still end within ten
JOBS: Final = len(os.sched_getaffinity(0))
FIRST_LIMIT_S: Final = 60  # of tests whose time is not known yet
TIMES_AS_LONG, AND_S = 3, 4


@dataclass(slots=True)
class Result:
    """What came of a sample."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    equivalent: int = 0
    survivors: int = 0

    @property
    def killed(self) -> int:
        """The mutants that were noticed."""
        return self.verdicts[Verdict.KILLED] + self.verdicts[Verdict.TIMED_OUT]

    @property
    def share(self) -> float:
        """The part of the mutants that was noticed."""
        return self.killed / max(1, self.verdicts.total())


def main() -> int:
    """Run a sample, print what lives as it is found, and return the exit code."""
    options = _options()
    started = time.monotonic()
    ends = started + options.minutes * 60
    targets = [target_of(path) for path in options.module] or all_targets()
    import_libraries()
    limits = _limits(targets)
    result = Result()
    mutants = _sample(targets, options, result)
    _run(takewhile(lambda _: time.monotonic() < ends, mutants), limits, result)
    print(
        f"seed {options.seed}: {result.verdicts.total()} mutants of {len(targets)} modules, {result.killed} killed"
        f" ({result.verdicts[Verdict.TIMED_OUT]} by their time), {result.survivors} live: {result.share:.1%}."
        f" {result.equivalent} equivalent ones were left out. {time.monotonic() - started:.0f} s"
    )
    return 0 if result.share >= ENOUGH and not result.verdicts[Verdict.BROKEN] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", default=[], help="path of a module, instead of all targets")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="mutants; 0 takes all")
    parser.add_argument("--minutes", type=float, default=LIMIT.total_seconds() / 60, help="start no mutant later")
    return parser.parse_args()


def _limits(targets: Sequence[Target]) -> dict[Target, int]:
    """Run each file of tests unchanged; return how long those of each module may take. A failure ends everything."""
    untested = [target.path for target in targets if not target.tests]
    if untested:
        sys.exit(f"no unit test imports {', '.join(untested)}")
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        log_of = {file: str(Path(folder) / file.replace("/", ".")) for target in targets for file in target.tests}

        def trials() -> Iterator[tuple[str, Callable[[], Trial]]]:
            for file, log in log_of.items():
                yield file, partial(start_trial, Target(file, (file,), ()), None, limit=FIRST_LIMIT_S, log=log)

        for file, verdict, took in run_trials(trials(), JOBS):
            seconds[file] = took
            if verdict is not Verdict.SURVIVED:
                sys.exit(f"{Path(log_of[file]).read_text()}\n{file} fails without any mutant")
    return {
        target: AND_S + math.ceil(TIMES_AS_LONG * sum(seconds[file] for file in target.tests)) for target in targets
    }


def _run(mutants: Iterator[Mutant], limits: dict[Target, int], result: Result) -> None:
    trials = ((each, partial(start_trial, each.target, each.text, limit=limits[each.target])) for each in mutants)
    for mutant, verdict, _ in run_trials(trials, JOBS):
        result.verdicts[verdict] += 1
        if verdict in {Verdict.SURVIVED, Verdict.BROKEN}:
            result.survivors += 1
            print(f"{mutant.diff}\n", flush=True)


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
