"""Ten thousand callers who are slow with headers, bodies or reading, and a gateway: others are served."""

import asyncio
import resource
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from deploy.local.stack import Stack
from tests.acceptance.conftest import FOLDER
from tests.support.gateway_process import another_gateway
from tests.support.partner import Partner

AIM = 10_000
ADDRESSES = 50  # so that each stays below what one address may have
OWN_FILES = 500  # of the test's process beside the connections
READERS = 250
BODIES = 250
HEADER_TIMEOUT = "PT16S"  # longer than it is by default, so that a busy machine too has all of them open at once
HALF_A_HEAD = b"POST /v1/client HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_A_BODY = b"POST /v1/client HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"
MUCH = b"GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n"
TIMEOUT_S = 90.0
SLOWEST_ANSWER_S = 15.0  # far more than a quick machine needs, and less than any deadline of the gateway here


@pytest.fixture
def most_files() -> Iterator[int]:
    """As many files as this process may open, while a test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def slow_callers(gateway: str, number: int) -> Iterator[list[socket.socket]]:
    """Those who are slow to send; and READERS more, of the number, who do not read what they asked for."""
    address = urlsplit(gateway)
    with ExitStack() as stack:
        callers = []
        for count in range(number):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(TIMEOUT_S)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.bind((f"127.0.1.{1 + count % ADDRESSES}", 0))
            caller.connect((address.hostname, address.port))
            if count < READERS:
                caller.sendall(MUCH)
            else:
                caller.sendall(HALF_A_BODY if count < READERS + BODIES else HALF_A_HEAD)
                callers.append(caller)
        yield callers


def ends(callers: list[socket.socket]) -> Counter[str]:
    """How the gateway ended the connections, all of them: with a status, or without a word."""
    found: Counter[str] = Counter()
    with selectors.DefaultSelector() as selector:
        for caller in callers:
            selector.register(caller, selectors.EVENT_READ)
        deadline = time.monotonic() + TIMEOUT_S
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1.0):
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                found[key.fileobj.recv(4096)[:12].decode() or "no answer"] += 1
        assert not selector.get_map(), f"{len(selector.get_map())} of {len(callers)} are still open"
    return found


async def connected(stack: Stack, http: aiohttp.ClientSession) -> float:
    async with http.get(f"{stack.gateway_internal}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line for line in lines if line.startswith("exhaust_http_connections ")).rpartition(" ")[2])


async def timed_call(partner: Partner) -> float:
    """A call on a connection of its own, which asks the database and the status service. How long it took."""
    started = time.monotonic()
    reply = await partner.status(str(uuid4()))
    assert (reply.status, reply.error) == (404, "INVALID_REQUESTID"), reply
    return time.monotonic() - started


async def test_slow_connections_do_not_stop_others(
    partner: Partner, http: aiohttp.ClientSession, stack: Stack, most_files: int, tmp_path: Path
) -> None:
    number = min(AIM, most_files - OWN_FILES)
    async with (
        another_gateway(stack, FOLDER, tmp_path / "log", http, EXHAUST_HEADER_TIMEOUT=HEADER_TIMEOUT) as seen,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        other = Partner(session, seen, partner.name, partner.license_key)
        quiet = [await timed_call(other) for _ in range(50)]
        with slow_callers(seen.gateway, number) as callers:
            cut = asyncio.create_task(asyncio.to_thread(ends, callers))
            crowded, open_at_once = [], 0.0
            while not cut.done():
                crowded.append(await timed_call(other))
                open_at_once = max(open_at_once, await connected(seen, http))
            found = await cut
    print(
        f"\n{number} slow connections, {open_at_once:.0f} open at once, ended by {dict(found)};"
        f" another caller's call took {median(quiet) * 1000:.1f} ms before (median), and beside them"
        f" {median(crowded) * 1000:.1f} ms, at most {max(crowded) * 1000:.0f} ms, of {len(crowded)} calls"
    )
    assert open_at_once > min(number, most_files // 2) * 0.9
    assert set(found) <= {"HTTP/1.1 408", "HTTP/1.1 503", "no answer"}
    assert found["HTTP/1.1 408"] > number // 2
    assert max(crowded) < SLOWEST_ANSWER_S
