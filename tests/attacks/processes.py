"""Holding, stopping and starting again the processes of the stack that the tests started themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from deploy.local.stack import read_stack, start_stack
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

FOLDER: Final = ROOT / ".local" / "test-attacks"
LOGS: Final = FOLDER / "logs"
SERVICES: Final = ("gateway", "aggregator", "status", "console")


@contextmanager
def frozen(name: str) -> Iterator[None]:
    """Hold a service still while the block runs. Keep it short: after 10 s Kafka takes it for dead."""
    pid = read_stack(FOLDER).processes[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def stopped(name: str) -> AsyncIterator[None]:
    """End a service in good order, and start it again after the block."""
    pid = read_stack(FOLDER).processes[name]
    os.kill(pid, signal.SIGTERM)
    await until(lambda: has_ended(pid), within=30)
    try:
        yield
    finally:
        await start_again()


async def start_again() -> None:
    """Start whatever of the stack does not run."""
    await asyncio.to_thread(start_stack, FOLDER, stop_at_exit=True)


async def unready(http: aiohttp.ClientSession) -> list[str]:
    """The services that are not ready, or do not even answer."""
    stack = read_stack(FOLDER)
    urls = {"gateway": stack.gateway_internal, "aggregator": stack.aggregator_internal, "status": stack.status_internal}
    found = []
    for name, url in urls.items():
        status = 0
        with suppress(aiohttp.ClientError, TimeoutError):
            async with http.get(f"{url}/health/ready", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                status = answer.status
        if status != 200:
            found.append(name)
    return found


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    async with asyncio.timeout(within):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


class Log:
    """What a service logs from now on."""

    def __init__(self, name: str) -> None:
        self._path = LOGS / f"{name}.log"
        self._start = self._path.stat().st_size

    @property
    def text(self) -> str:
        with self._path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The lines that are JSON, as every line of a service should be."""
        found = []
        for line in self.text.splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits to be reaped by the stack's next start."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
