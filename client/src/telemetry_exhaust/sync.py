"""Keeps a folder whole: one file a day. The folder is the bookmark: what it lacks is asked for, and nothing else.

A day's file is there under its name only as a whole, so a run may be killed at any time; the next one goes on. A hook
runs at least once for each file: a mark beside it says that it still has to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import deque
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Callable, Final

from telemetry_exhaust.api import Wanted
from telemetry_exhaust.dates import ONE_DAY, days_of, yesterday
from telemetry_exhaust.download import forget_state
from telemetry_exhaust.errors import RequestFailedError, UsageError
from telemetry_exhaust.fetching import Fetcher, is_there
from telemetry_exhaust.file_lock import hold
from telemetry_exhaust.safe_text import safe_text
from telemetry_exhaust.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry_exhaust.fetching import Watcher
    from telemetry_exhaust.status import Status

FIRST_RUN_DAYS: Final = 31  # that the first run of a folder goes back
_AHEAD: Final = 4  # requests that are built while a download runs
_DAY_FILE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.zip")
_LOCK: Final = ".exhaust-sync.lock"
_ABOUT: Final = ".exhaust-sync.json"


@dataclass(frozen=True)
class Plan:
    """What a folder holds, and how far it goes.

    Attributes:
        since: the first day; without it that of the oldest file.
        recheck: days back from yesterday that are asked for anew, as they may have been amended.
        hook: a command for the shell, run for each new file.
    """

    dataset: str
    owner: str
    since: date | None = None
    recheck: int = 0
    hook: str | None = None
    tags: tuple[str, ...] = ()

    def wanted(self, day: date) -> Wanted:
        """Return the request for a day."""
        return Wanted(self.dataset, self.owner, day, day, self.tags)


@dataclass(frozen=True)
class SyncedDay:
    """A day of a run: its file, or why it could not be had."""

    day: date
    path: Path
    new: bool
    problem: str | None = None


def sync(fetcher: Fetcher, folder: Path, plan: Plan, watcher: Callable[[date], Watcher]) -> Iterator[SyncedDay]:
    """Get the days that a folder lacks, oldest first, and return each when it is there.

    Raises:
        UsageError: another run is at work on the folder, or it holds other data.
        ExhaustError: the gateway or the store cannot be reached, or refuses.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = hold(folder / _LOCK)
    try:
        _check_folder(folder, plan)
        for path in folder.glob("*.zip"):
            forget_state(path)
        _finish_hooks(folder, plan)
        yield from _run(fetcher, folder, plan, watcher)
    finally:
        lock.close()


def _run(fetcher: Fetcher, folder: Path, plan: Plan, watcher: Callable[[date], Watcher]) -> Iterator[SyncedDay]:
    days = iter(_days_to_ask(folder, plan))
    started: deque[tuple[date, Status]] = deque()
    while True:
        while len(started) < _AHEAD and (day := next(days, None)) is not None:
            started.append((day, fetcher.start(plan.wanted(day))))
        if not started:
            return
        day, status = started.popleft()
        path = folder / f"{day}.zip"
        if path.exists() and status.ended and is_there(path, status):
            continue
        try:
            yield _get(fetcher, path, day, plan, status, watcher(day))
        except RequestFailedError as error:
            yield SyncedDay(day, path, new=False, problem=str(error))


def _get(fetcher: Fetcher, path: Path, day: date, plan: Plan, status: Status, watcher: Watcher) -> SyncedDay:
    if plan.hook:
        write_whole(_mark(path), b"")
    fetched = fetcher.download(status, path, watcher)
    if fetched.new and plan.hook:
        _run_hook(path, plan.hook)
    _mark(path).unlink(missing_ok=True)
    return SyncedDay(day, path, new=fetched.new)


def _days_to_ask(folder: Path, plan: Plan) -> list[date]:
    there = {date.fromisoformat(found[1]) for path in folder.iterdir() if (found := _DAY_FILE.fullmatch(path.name))}
    last = yesterday()
    first = plan.since or min(there, default=last - (FIRST_RUN_DAYS - 1) * ONE_DAY)
    recheck_from = last - (plan.recheck - 1) * ONE_DAY
    return [day for day in days_of(first, last) if day not in there or day >= recheck_from]


def _check_folder(folder: Path, plan: Plan) -> None:
    """Remember what a folder is for, and refuse to mix.

    Raises:
        UsageError: it is for something else.
    """
    about = {"dataset": plan.dataset, "owner": plan.owner, "tags": sorted(plan.tags)}
    path = folder / _ABOUT
    try:
        told = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        write_whole(path, json.dumps(about).encode())
        return
    except ValueError as error:
        raise UsageError(f"{safe_text(path)} is damaged; remove it when the folder holds {plan.owner}") from error
    if told != about:
        shown = safe_text(
            ", ".join(f"{name} {value}" for name, value in told.items()) if isinstance(told, dict) else told
        )
        raise UsageError(f"{safe_text(folder)} holds other data ({shown}); name another folder")


def _finish_hooks(folder: Path, plan: Plan) -> None:
    """Run the hooks that a killed run owes, and drop the marks of files that never came."""
    for mark in sorted(folder.glob(".*.zip.hook")):
        path = folder / mark.name[1 : -len(".hook")]
        if plan.hook and path.exists():
            _run_hook(path, plan.hook)
        else:
            mark.unlink()


def _run_hook(path: Path, hook: str) -> None:
    variables = {**os.environ, "EXHAUST_FILE": str(path), "EXHAUST_DAY": path.stem}
    # The person who runs the command wrote the hook, for the shell.
    ended = subprocess.run(hook, shell=True, env=variables, check=False, stdin=subprocess.DEVNULL)
    if ended.returncode:
        raise UsageError(
            f"the hook ended with {ended.returncode} for {safe_text(path.name)}; it runs again the next time"
        )
    _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}.hook")
