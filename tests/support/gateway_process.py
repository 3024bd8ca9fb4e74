"""One more gateway of a stack, as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp

from deploy.local.stack import service_environment
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack

START_LIMIT_S = 60


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
    public, internal = closed_port(), closed_port()
    ports = {"EXHAUST_PORT": str(public), "EXHAUST_INTERNAL_PORT": str(internal)}
    environment = service_environment(folder, "gateway") | ports | settings
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.gateway", env=environment, stdout=output, stderr=output
        )
    try:
        await wait_until_ready(http, f"http://127.0.0.1:{public}")
        yield replace(stack, gateway=f"http://127.0.0.1:{public}", gateway_internal=f"http://127.0.0.1:{internal}")
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), START_LIMIT_S)


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
