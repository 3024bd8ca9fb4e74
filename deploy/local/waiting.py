"""Jobs that wait side by side in one thread.

A job is a generator that yields whenever it waits. So several servers start at the same time, and Ctrl-C or the first
error ends them all at once, with no thread left behind.
"""

import fcntl
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from datetime import timedelta
from typing import TypeVar

_Result = TypeVar("_Result")
Job = Generator[None, None, _Result]

_PAUSE = timedelta(milliseconds=20)


def together(*jobs: Job[None]) -> None:
    """Runs the jobs side by side until all are finished; the first error closes the others and is raised."""
    with ExitStack() as closing:
        for job in jobs:
            closing.callback(job.close)
        waiting = list(jobs)
        while waiting := [job for job in waiting if _goes_on(job)]:
            time.sleep(_PAUSE.total_seconds())


def in_turn(*jobs: Job[None]) -> Job[None]:
    """Runs the jobs one after another."""
    for job in jobs:
        yield from job


def until(condition: Callable[[], bool], limit: timedelta) -> Job[bool]:
    """Waits until the condition holds.

    Returns:
        True when it held, False when the time limit was over first.
    """
    deadline = time.monotonic() + limit.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        yield
    return True


def try_lock(descriptor: int) -> bool:
    """Locks an open file against every other process; False when one of them has it. The lock ends with the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _goes_on(job: Job[None]) -> bool:
    try:
        next(job)
    except StopIteration:
        return False
    return True
