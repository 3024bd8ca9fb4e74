"""Calls that cost a stranger nothing: registering, asking for readiness, breaking off in the middle of a body."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from tests.attacks.callers import KEY_NAME, ask
from tests.attacks.processes import Log, until

if TYPE_CHECKING:
    import aiohttp

    from deploy.local.stack import Stack
    from tests.attacks.callers import Callers, Reply
    from tests.attacks.rows import Rows

MOST_REGISTRATIONS: Final = 100
BURST_S, LOOPS, PAUSE_S = 3.0, 10, 0.03
TRANSACTIONS: Final = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""
# More than without calls: a check a second for each of three listeners, and room for rounds of loops that fall into it.
MOST_TRANSACTIONS: Final = 120
USERS: Final = "SELECT count(*) FROM data_exhaust_users WHERE client_name LIKE $1 || '%'"


async def register(http: aiohttp.ClientSession, stack: Stack, name: str, **headers: str) -> Reply:
    named = {"clientName": name, "licenseKeyName": KEY_NAME}
    return await ask(http, f"{stack.gateway}/v1/client", named, headers=headers)


async def test_one_address_cannot_register_without_end(callers: Callers, stack: Stack, rows: Rows) -> None:
    http, stem = await callers.session(), f"flood-{uuid4().hex[:8]}"
    registered = 0
    for number in range(MOST_REGISTRATIONS):
        forwarded = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
        reply = await register(http, stack, f"{stem}-{number}", **forwarded)
        if reply.status != 200:
            break
        registered += 1
    assert reply.told == (429, "RATE_LIMITED")
    assert 0 < int(reply.headers["Retry-After"]) <= 24 * 3600
    assert await rows.value(USERS, stem) == registered
    # Others register as before, and the address that asked too often may do everything else.
    other = await register(await callers.session(), stack, f"other-{stem}")
    assert other.status == 200
    status = await ask(http, f"{stack.gateway}/v2/datasets/requests/status/{uuid4()}", other.result)
    assert status.told == (404, "INVALID_REQUESTID")


async def test_asking_for_readiness_does_not_ask_the_database_each_time(
    http: aiohttp.ClientSession, stack: Stack, rows: Rows
) -> None:
    urls = [f"{url}/health/ready" for url in (stack.gateway, stack.gateway_internal, stack.status_internal)]
    start = await rows.value(TRANSACTIONS)
    await asyncio.sleep(BURST_S)  # what the loops of all services do in that time, without calls
    before, end = await rows.value(TRANSACTIONS), time.monotonic() + BURST_S
    by_themselves = before - start

    async def loop(url: str) -> int:
        count = 0
        while time.monotonic() < end:
            async with http.get(url) as answer:
                assert answer.status == 200
            count += 1
            await asyncio.sleep(PAUSE_S)
        return count

    asked = sum(await asyncio.gather(*(loop(url) for url in urls for _ in range(LOOPS))))
    assert asked > 3 * MOST_TRANSACTIONS, "too few calls to tell"
    assert await rows.value(TRANSACTIONS) - before - by_themselves < MOST_TRANSACTIONS


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The beginning of a call, after which the caller goes away."""

    listener: str
    path: str
    headers: str
    begun: bytes


BODIES: Final = {
    "register": Abandoned("gateway", "/v1/client", "Content-Length: 1000", b'{"request": {'),
    "register-chunked": Abandoned("gateway", "/v1/client", "Transfer-Encoding: chunked", b"400\r\n{"),
    "submit": Abandoned("gateway", "/v2/datasets/D001/x", "Content-Length: 1000", b"{"),
    "download": Abandoned("gateway", "/v1/datasets/D001/x", "Content-Length: 1000", b"{"),
    "v3-download": Abandoned("gateway", "/data/v3/datasets/D001/x", "Content-Length: 1000", b"{"),
    "status": Abandoned("gateway", f"/v2/datasets/requests/status/{uuid4()}", "Content-Length: 9", b"{"),
    "list": Abandoned("gateway", "/v2/datasets/requests/p", "Content-Length: 9", b""),
}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_broken_off_leaves_one_line_and_no_traceback(stack: Stack, name: str, *, reset: bool) -> None:
    abandoned, log = BODIES[name], Log("gateway")
    port = int(stack.gateway.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {abandoned.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{abandoned.headers}"
    writer.write(f"{head}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert b"100" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)  # somebody waits for the body now
    writer.write(abandoned.begun)
    await writer.drain()
    if reset:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.close()
    await until(lambda: bool(_lines_of_calls(log)), within=5)
    entries = _lines_of_calls(log)
    assert [entry["level"] for entry in entries] == ["info"]
    assert "Traceback" not in log.text
    assert not any("exception" in entry for entry in log.entries)


def _lines_of_calls(log: Log) -> list[dict[str, Any]]:
    """What was logged of a call of the public API."""
    return [entry for entry in log.entries if entry.get("event", "").startswith(("http.", "request."))]
