"""More services of a stack, as processes of their own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import aiohttp

from deploy.local.stack import service_environment
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack

START_LIMIT_S = 60


@dataclass(slots=True)
class ServiceProcess:
    """A service that can be started again at the same ports.

    Attributes:
        folder: where the stack lives.
        log: of all its starts.
        settings: variables that are different from the stack's own.
        name: gateway, aggregator or status.
    """

    folder: Path
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    name: str = "gateway"
    port: int = field(default_factory=closed_port)
    internal_port: int = field(default_factory=closed_port)
    _process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it was not started"
        return self._process

    async def start(self, http: aiohttp.ClientSession) -> None:
        """Start it, and wait until it is ready."""
        ports = {"EXHAUST_PORT": str(self.port), "EXHAUST_INTERNAL_PORT": str(self.internal_port)}
        environment = service_environment(self.folder, self.name) | ports | self.settings
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{self.name}", env=environment, stdout=output, stderr=output
            )
        await wait_until_ready(http, f"http://127.0.0.1:{self.port}")

    async def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), START_LIMIT_S)

    async def kill(self) -> None:
        """End it at once, unless it has ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def another_gateway(
    stack: Stack, folder: Path, log: Path, http: aiohttp.ClientSession, **settings: str
) -> AsyncIterator[Stack]:
    """The stack as one sees it through another gateway, while the block runs.

    Args:
        stack: that runs.
        folder: where it lives.
        log: of the new gateway.
        http: to ask whether it is ready.
        settings: variables that are different from the stack's own gateway.
    """
    gateway = ServiceProcess(folder, log, settings)
    try:
        await gateway.start(http)
        yield replace(
            stack,
            gateway=f"http://127.0.0.1:{gateway.port}",
            gateway_internal=f"http://127.0.0.1:{gateway.internal_port}",
        )
        await gateway.stop()
    finally:
        await gateway.kill()


async def wait_until_ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            try:
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
