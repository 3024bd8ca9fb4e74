"""The services of a run, as processes of our own: started, crashed, frozen, and started again by a supervisor."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deploy.local.readiness import http_request
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.chaos.timeline import Timeline

CRASH_EXIT_CODE: Final = 86  # of a failpoint
KILLED: Final = -signal.SIGKILL
RESTART_AFTER_S: Final = 0.2
READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 45.0
_OK: Final = 200
_FIRST_PORT, _LAST_PORT = 21_500, 31_000  # below those that Linux gives to outgoing connections


def free_port() -> int:
    """A port on which nobody listens, and that no outgoing connection takes meanwhile."""
    while True:
        number = random.randrange(_FIRST_PORT, _LAST_PORT)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                candidate.bind(("127.0.0.1", number))
                return number


@dataclass(slots=True)
class Child:
    """One service process, and those that were started after it in its place.

    Attributes:
        kind: gateway, aggregator or status.
        port: of its health listener.
        next_environment: called for each start; adds to the environment.
        exits: by time, the exit code of each that ended.
        wanted: it is started again when it ends.
        bad_exits: ends that nobody asked for.
    """

    kind: str
    number: int
    environment: Mapping[str, str]
    port: int
    log: Path
    timeline: Timeline
    next_environment: Callable[[Child], Mapping[str, str]] = lambda _: {}
    process: asyncio.subprocess.Process | None = None
    exits: list[tuple[float, int]] = field(default_factory=list)
    wanted: bool = True
    stopping: bool = False
    bad_exits: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)
    were_ready: set[int] = field(default_factory=set)
    _supervisor: asyncio.Task[None] | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def public_port(self) -> int:
        """The port on which it serves."""
        return int(self.environment["EXHAUST_PORT"])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start it, and a supervisor that starts it again whenever it ends."""
        self.wanted, self.stopping = True, False
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise())

    async def ready(self, within: float = READY_WITHIN_S) -> None:
        """Wait until it is ready.

        Raises:
            TimeoutError: it was not in time.
        """
        async with asyncio.timeout(within):
            while not await asyncio.to_thread(self.answers_ready):
                await asyncio.sleep(0.05)
        self.were_ready.add(self.pid)

    def answers_ready(self) -> bool:
        return http_request(self.port, "/health/ready")[0] == _OK

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; the supervisor starts another when this one ends."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.expected.add(self.pid)
            os.kill(self.pid, number)

    async def stop(self) -> float:
        """Ask it to end and wait for that; return the seconds it took. It is not started again."""
        self.wanted, self.stopping = False, True
        began = time.monotonic()
        assert self.process is not None
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.process.wait()
        except TimeoutError:
            self.bad_exits.append(f"{self.name} did not end within {STOP_WITHIN_S:.0f} s of SIGTERM")
            self.process.kill()
        if self._supervisor is not None:
            await self._supervisor
        return time.monotonic() - began

    async def end(self) -> None:
        """End it at once, and for good."""
        self.wanted = False
        if self.process is not None and self.process.returncode is None:
            self.expected.add(self.pid)
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._supervisor is not None:
            await self._supervisor

    async def _spawn(self) -> None:
        environment = {**self.environment, **self.next_environment(self)}
        # The kernel kills it when this process ends, however that happens.
        program = (shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", sys.executable, "-m")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *program, f"services.{self.kind}", env=environment, stdout=log, stderr=log, cwd=ROOT,
                start_new_session=True,
            )  # fmt: skip

    async def _supervise(self) -> None:
        while self.process is not None:
            code = await self.process.wait()
            self.exits.append((time.monotonic(), code))
            self._judge(self.process.pid, code)
            if not self.wanted:
                return
            await asyncio.sleep(RESTART_AFTER_S)
            if not self.wanted:
                return
            await self._spawn()

    def _judge(self, pid: int, code: int) -> None:
        # Before a process takes SIGTERM into its own hands it has nothing to end in good order.
        stopped = code == 0 or (code == -signal.SIGTERM and pid not in self.were_ready)
        asked_for = pid in self.expected or code == CRASH_EXIT_CODE or (self.stopping and stopped)
        if not asked_for:
            self.bad_exits.append(f"{self.name} (process {pid}) ended by itself with {code}")
            self.timeline.note(self.bad_exits[-1])
