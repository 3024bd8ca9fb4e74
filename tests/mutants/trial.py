"""The trial of a mutant: the unit tests beside its module, in a fork of this process that imports the mutant instead.

No file is changed, so a trial harms nobody who works on the same files. The process that forks has imported the
libraries but nothing of the project: a trial pays for pytest and the tests alone.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from enum import Enum, auto
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import TYPE_CHECKING, Final, TypeVar

import pytest
from hypothesis import Phase, settings

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType

    from tests.mutants.targets import Target

LIBRARIES: Final = (
    *("aiohttp.web", "aiokafka", "asyncpg", "hypothesis", "isal.igzip", "msgspec", "orjson", "prometheus_client"),
    *("pydantic_settings", "structlog", "ahocorasick_rs", "tests.conftest"),
)
KeyT = TypeVar("KeyT")

PROFILE: Final = "mutants"
MEMORY: Final = 4 * 1024**3
_LOOK_AGAIN_S: Final = 0.005
_TESTS_PASSED: Final = 0
_TESTS_FAILED: Final = (1, 2)  # a test failed, or could not be collected


class Verdict(Enum):
    """The outcome of a trial."""

    SURVIVED = auto()
    KILLED = auto()
    TIMED_OUT = auto()
    BROKEN = auto()  # pytest itself did not do its work


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that runs.

    Attributes:
        pid: of the fork.
        ends: when even one that waits has taken too long, by the monotonic clock.
    """

    pid: int
    ends: float

    def end(self) -> tuple[Verdict, float] | None:
        """Return how the trial ended, and its seconds of processor time; None while it runs."""
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            if time.monotonic() < self.ends:
                return None
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return Verdict.TIMED_OUT, 0.0
        code = os.waitstatus_to_exitcode(status)
        if code == _TESTS_PASSED:
            verdict = Verdict.SURVIVED
        elif code == -signal.SIGXCPU:
            verdict = Verdict.TIMED_OUT
        else:
            verdict = Verdict.KILLED if code in _TESTS_FAILED or code < 0 else Verdict.BROKEN
        return verdict, used.ru_utime + used.ru_stime


def import_libraries() -> None:
    """Import what every trial needs and no mutant changes."""
    for name in LIBRARIES:
        importlib.import_module(name)
    # As the tests' own, but an example that fails is failure enough: none is made smaller or kept.
    settings.register_profile(PROFILE, settings.default, phases=(Phase.explicit, Phase.generate), database=None)


def start_trial(target: Target, text: str | None, *, limit: int, log: str = os.devnull) -> Trial:
    """Start the tests of a module in a fork.

    Args:
        target: the module.
        text: of the mutant; None leaves the module as it is.
        limit: seconds of processor time that the tests may take; of other time ten times as much.
        log: file for what pytest says.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            code = _run_tests(target, text, log)
        finally:
            os._exit(code)
    return Trial(pid, time.monotonic() + 10 * limit)


def run_trials(
    trials: Iterator[tuple[KeyT, Callable[[], Trial]]], at_once: int
) -> Iterator[tuple[KeyT, Verdict, float]]:
    """Run trials side by side; yield the key, the verdict and the processor time of each one as it ends."""
    running: list[tuple[KeyT, Trial]] = []
    while True:
        while len(running) < at_once and (following := next(trials, None)) is not None:
            running.append((following[0], following[1]()))
        if not running:
            return
        for key, trial in running.copy():
            end = trial.end()
            if end is not None:
                running.remove((key, trial))
                yield key, *end
        time.sleep(_LOOK_AGAIN_S)


def _run_tests(target: Target, text: str | None, log: str) -> int:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if text is not None:
        sys.meta_path.insert(0, _MutantFinder(target, text))
    for tests in filter(None, (target.own_tests, target.other_tests)):
        code = int(pytest.main(_arguments(tests)))
        if code != _TESTS_PASSED:
            return code
    return _TESTS_PASSED


def _arguments(tests: Sequence[str]) -> list[str]:
    quiet = ("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider")
    known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of the libraries that were imported before
    return [
        *quiet,
        *known,
        f"--hypothesis-profile={PROFILE}",
        "--hypothesis-seed=1",
        *(str(ROOT / test) for test in tests),
    ]


class _MutantFinder(MetaPathFinder):
    """Finds one module, whose code is another text than its file has."""

    def __init__(self, target: Target, text: str) -> None:
        self._target = target
        self._text = text

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return where the mutant is imported from; None for any other module."""
        del path, target
        if fullname != self._target.module:
            return None
        file = str(ROOT / self._target.path)
        return spec_from_file_location(fullname, file, loader=_MutantLoader(fullname, file, self._text))


class _MutantLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        """Compile the mutant's text; no bytecode is kept."""
        del fullname
        return compile(self._text, self.path, "exec", dont_inherit=True)
