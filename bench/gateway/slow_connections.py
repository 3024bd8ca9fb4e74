"""The calls of one quick caller beside ten thousand slow connections."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bench.errors import BenchError
from bench.gateway.calls import READ, status_reads
from bench.gateway.load_generator import CallStats, call_on_new_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gateway.load_generator import Address
    from bench.gateway.testbed import Testbed

SLOW: Final = 10_000
QUIET: Final = timedelta(seconds=2)
CROWDED: Final = timedelta(seconds=5)
OPENING: Final = timedelta(seconds=0.1)
_ADDRESSES: Final = 50  # so that each stays below what one address may have
_OWN_FILES: Final = 200
_SEND_LIMIT: Final = timedelta(seconds=30)
_HALF_A_HEAD: Final = b"POST /v1/client HTTP/1.1\r\nHost: bench\r\nX-Slow: "


@dataclass(frozen=True, slots=True)
class SlowConnectionsResult:
    """A caller's calls without and beside slow connections, and the seconds that it took to open those."""

    quiet: CallStats
    crowded: CallStats
    opening: float


async def measure_beside_slow_connections(testbed: Testbed) -> SlowConnectionsResult:
    """Measure status reads, each on its own connection, before and while SLOW connections are open.

    Raises:
        BenchError: this machine does not let a process open as many files.
    """
    reads = await status_reads(testbed.gateway)
    address = testbed.gateway.address
    quiet = await call_on_new_connections(address, QUIET, reads.__next__)
    started = time.perf_counter()
    with ExitStack() as stack:
        opened = asyncio.create_task(asyncio.to_thread(stack.enter_context, _slow_connections(address)))
        crowded = CallStats()
        while not opened.done():
            crowded.add(await call_on_new_connections(address, OPENING, reads.__next__))
        await opened
        opening = time.perf_counter() - started
        crowded.add(await call_on_new_connections(address, CROWDED, reads.__next__))
    for measured in (quiet, crowded):
        measured.check(READ)
    return SlowConnectionsResult(quiet, crowded, opening)


@contextmanager
def _slow_connections(address: Address) -> Iterator[None]:
    _allow_files(SLOW + _OWN_FILES)
    with ExitStack() as stack:
        for number in range(SLOW):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(_SEND_LIMIT.total_seconds())
            caller.bind((f"127.0.1.{1 + number % _ADDRESSES}", 0))
            caller.connect((address.host, address.port))
            caller.sendall(_HALF_A_HEAD)
        yield


def _allow_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        raise BenchError(f"{number} files must be open at once, and {hard} may be: raise the limit (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
