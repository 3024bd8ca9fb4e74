"""The processes of a stack, started, found again and stopped by records in its folder."""

import asyncio
import json
import os
import select
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from deploy.local.errors import StackError
from deploy.local.folder import Folder

_LAUNCHER = Path(__file__).with_name("launch.sh")
_LAUNCH_LIMIT = timedelta(seconds=30)
_LEFTOVER_LIMIT = timedelta(seconds=2)
_LOG_LINES = 15
_PAUSE = timedelta(milliseconds=20)
_ZOMBIE = "Z"


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run.

    Attributes:
        name: names its record and its log.
        program: the program and its arguments; everybody on the machine can read them, so they hold no secrets.
        environment: all of its environment.
        folder: where it runs.
        stop_signal: what asks it to end in good order.
    """

    name: str
    program: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Process:
    """A process, whose start time (in clock ticks, proc(5)) tells it from a later one with the same id."""

    name: str
    pid: int
    started: int
    starter: int
    stop_signal: signal.Signals

    def orphaned(self) -> bool:
        """Return whether the process that started this one has ended."""
        return _stat(self.pid).parent != self.starter

    def runs(self) -> bool:
        """Return whether this very process still runs, and reap it when it was a child of ours that ended."""
        stat = _stat(self.pid)
        if stat.started == self.started and stat.state == _ZOMBIE:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        return stat.started == self.started and stat.state != _ZOMBIE


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of the stack in one folder."""

    folder: Folder

    def recorded(self) -> dict[str, Process]:
        """Return all that were started and not stopped, by name; they may have ended since."""
        found = (self._read(path) for path in sorted(self.folder.runs.glob("*.json")))
        return {process.name: process for process in found}

    def running(self, name: str) -> Process | None:
        """Return the process of that name, if it runs."""
        process = self.recorded().get(name)
        return process if process is not None and process.runs() else None

    def running_names(self) -> frozenset[str]:
        """Return the names of those that run."""
        return frozenset(name for name, process in self.recorded().items() if process.runs())

    async def start(self, command: Command, standard_input: int | None = None) -> Process:
        """Start a program in a session of its own, with its output in its log.

        Args:
            command: what to run.
            standard_input: a file descriptor to read from; nothing to read without.

        Raises:
            StackError: the program did not start.
        """
        pid = self._spawn(command, standard_input)
        record = self.folder.runs / f"{command.name}.json"
        await until(lambda: record.exists() or _exit_code(pid) is not None, _LAUNCH_LIMIT)
        if not record.exists():
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, pid, 0)
            raise self.error_for(command.name, "did not start")
        return self._read(record)

    async def ready(self, process: Process, answers: Callable[[], bool], limit: timedelta) -> None:
        """Wait until the process answers.

        Raises:
            StackError: it ended instead, or the time was over.
        """
        in_time = await until(lambda: not process.runs() or answers(), limit)
        if not process.runs():
            raise self.error_for(process.name, "ended before it was ready")
        if not in_time:
            raise self.error_for(process.name, f"was not ready after {limit.total_seconds():.0f} s")

    async def serve(
        self, name: str, start: Callable[[], Awaitable[Process]], answers: Callable[[], bool], limit: timedelta
    ) -> None:
        """Wait until a server answers, after starting it if it does not run or is just ending.

        Raises:
            StackError: as of `start` and `ready`.
        """
        found = self.running(name)
        if found is not None:
            try:
                await self.ready(found, answers, limit)
            except StackError:
                if found.runs():
                    raise
            else:
                return
        process = await start()
        await self.ready(process, answers, limit)

    async def finish(self, command: Command, limit: timedelta, standard_input: int | None = None) -> None:
        """Run a program to its end.

        Raises:
            StackError: it failed, or the time was over; then it is stopped.
        """
        self.stop({command.name: _LEFTOVER_LIMIT})  # left by a starter that was killed
        process = await self.start(command, standard_input)
        try:
            in_time = await until(lambda: _exit_code(process.pid) is not None, limit)
            code = _exit_code(process.pid)
        finally:
            self.stop({command.name: _LEFTOVER_LIMIT})
        if not in_time:
            raise self.error_for(command.name, f"was not finished after {limit.total_seconds():.0f} s")
        if code:
            raise self.error_for(command.name, f"failed with exit code {code}")

    def stop(self, limits: Mapping[str, timedelta]) -> None:
        """Stop those that run: ask all at once to end, and kill what still runs after its limit.

        A process that only has the id of one that was recorded is left alone, and so is this process itself.

        Args:
            limits: the names of the processes to stop, and how long each may take.
        """
        asked = time.monotonic()
        recorded = self.recorded()
        chosen = [recorded[name] for name in limits if name in recorded]
        with ExitStack() as closing:
            handles = list(_open_pidfds(chosen, closing))
            for process, handle in handles:
                _send_signal(handle, process.stop_signal)
            for process, handle in handles:
                if not _wait_for_exit(handle, asked + limits[process.name].total_seconds() - time.monotonic()):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    _wait_for_exit(handle, 10)
        for process in chosen:
            process.runs()  # reaps the process
            (self.folder.runs / f"{process.name}.json").unlink(missing_ok=True)

    def error_for(self, name: str, what: str) -> StackError:
        """Return the error for a process that failed, with the end of its log."""
        log = self.folder.log(name)
        with suppress(FileNotFoundError), log.open(errors="replace") as lines:
            end = "".join(f"    {line.rstrip()}\n" for line in deque(lines, maxlen=_LOG_LINES))
            return StackError(f"{name} {what}. The end of {log}:\n{end}")
        return StackError(f"{name} {what}; it wrote no log")

    def _spawn(self, command: Command, standard_input: int | None) -> int:
        record = self.folder.runs / f"{command.name}.json"
        record.unlink(missing_ok=True)
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files: list[tuple[object, ...]] = [
            (os.POSIX_SPAWN_OPEN, 1, self.folder.log(command.name), write, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
            if standard_input is None
            else (os.POSIX_SPAWN_DUP2, standard_input, 0),
        ]
        launcher = ("/bin/sh", str(_LAUNCHER), str(record), str(os.getpid()), command.stop_signal.name)
        return os.posix_spawn(
            "/bin/sh",
            (*launcher, str(command.folder), *command.program),
            command.environment,
            file_actions=files,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGHUP),
        )

    def _read(self, record: Path) -> Process:
        facts = json.loads(record.read_text())
        stop_signal = signal.Signals[facts["stop_signal"]]
        return Process(record.stem, facts["pid"], facts["started"], facts["starter"], stop_signal)


async def until(condition: Callable[[], bool], limit: timedelta) -> bool:
    """Wait until the condition holds. It is polled, and must answer at once.

    Returns:
        True when it held, False when the time limit was over first.
    """
    deadline = time.monotonic() + limit.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_PAUSE.total_seconds())
    return True


class _Stat(NamedTuple):
    """Fields 3, 4 and 22 of stat in proc(5)."""

    state: str
    parent: int
    started: int


def _stat(pid: int) -> _Stat:
    """Return the kernel's status of a process; the numbers are -1 when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _Stat("", -1, -1)
    fields = stat.rpartition(")")[2].split()  # field 2, the command, may hold blanks and brackets
    return _Stat(fields[0], int(fields[1]), int(fields[19]))


def _exit_code(child: int) -> int | None:
    """Return the exit code or signal of a child that has ended, which stays to be reaped; None while it runs."""
    result = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if result is None else result.si_status


def _open_pidfds(processes: Iterable[Process], closing: ExitStack) -> Iterator[tuple[Process, int]]:
    """Open a descriptor of each process that runs, so that its id cannot pass to another one before the signal."""
    for process in processes:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(process.pid)
            closing.callback(os.close, handle)
            if process.runs() and process.pid != os.getpid():
                yield process, handle


def _send_signal(handle: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, which)


def _wait_for_exit(handle: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(max(0, seconds) * 1000))
