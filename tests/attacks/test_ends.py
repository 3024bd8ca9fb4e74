"""The end of a process while callers hold connections."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from deploy.local.stack import read_stack
from tests.attacks.processes import FOLDER, Log, has_ended, start_again, until

if TYPE_CHECKING:
    from deploy.local.stack import Stack

IDLE: Final = 1000
SUPERVISOR_S: Final = 45
HEALTH: Final = b"GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n"


@pytest.mark.parametrize("terms", [1, 3])
async def test_a_thousand_idle_connections_delay_no_end(stack: Stack, terms: int) -> None:
    parts = urlsplit(stack.gateway)
    log = Log("gateway")
    opened = []
    for _ in range(IDLE):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(HEALTH)
        await reader.readuntil(b"\r\n\r\n")
        opened.append(writer)
    pid = read_stack(FOLDER).processes["gateway"]
    for _ in range(terms):
        os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(0.2)
    await until(lambda: has_ended(pid), within=SUPERVISOR_S)
    for writer in opened:
        writer.close()
    assert [entry["event"] for entry in log.entries][-1] == "process.stopped"
    assert "Traceback" not in log.text
    await start_again()
