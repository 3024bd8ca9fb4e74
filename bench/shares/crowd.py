"""The greedy caller: long polls and slow readers of one license key, for as long as a block runs."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bench.errors import BenchError
from bench.gateway.load_generator import post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bench.gateway.load_generator import Address

    MakeCall = Callable[["Crowd", socket.socket], Awaitable[None]]

POLLS: Final = 110
READERS: Final = 120
SETTLED_AFTER: Final = timedelta(seconds=5)  # when all of them are at work, or were refused
_STARTED_WITHIN: Final = timedelta(seconds=4)
_AGAIN_AFTER: Final = timedelta(seconds=5)  # the Retry-After of a refusal
_READ: Final = 2048  # bytes a second of each reader
_READ_EVERY: Final = timedelta(seconds=1)
_RECEIVE_BUFFER: Final = 4096
_LOCAL: Final = "127.79.0.1"  # an address that the modest caller does not have
_OK: Final = b"HTTP/1.1 200"


@dataclass(slots=True)
class Crowd:
    """The calls of the greedy caller that are at work: neither refused nor cut."""

    polls: int = 0
    readers: int = 0


@asynccontextmanager
async def greedy_caller(address: Address, license_key: str, request_id: str, download: str) -> AsyncIterator[Crowd]:
    """Hold POLLS long polls and READERS slow readers open; whatever is refused or cut comes again.

    Args:
        address: of the gateway.
        license_key: of the greedy caller.
        request_id: a request that does not end.
        download: the path of a large download.

    Raises:
        BenchError: nothing of it is at work.
    """
    body = json.dumps({"request": {"licenseKey": license_key}}).encode()
    poll = post(f"/v2/datasets/requests/status/{request_id}?wait=30", body)
    read = f"GET {download} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {license_key}\r\n\r\n".encode()
    crowd = Crowd()
    calls = [(_poll, poll)] * POLLS + [(_read_slowly, read)] * READERS
    callers = [
        asyncio.create_task(_again_and_again(number, make_call, crowd, address, call))
        for number, (make_call, call) in enumerate(calls)
    ]
    try:
        await asyncio.sleep(SETTLED_AFTER.total_seconds())
        if not crowd.polls or not crowd.readers:
            raise BenchError(f"{crowd.polls} long polls and {crowd.readers} slow readers are at work; some should be")
        yield crowd
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def _again_and_again(number: int, make_call: MakeCall, crowd: Crowd, address: Address, call: bytes) -> None:
    loop = asyncio.get_running_loop()
    # Callers who began at the same moment would come again at the same moment.
    await asyncio.sleep(number * _STARTED_WITHIN.total_seconds() / (POLLS + READERS))
    while True:
        with suppress(OSError), socket.socket() as line:
            line.settimeout(0)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            line.bind((_LOCAL, 0))
            await loop.sock_connect(line, (address.host, address.port))
            await loop.sock_sendall(line, call)
            await make_call(crowd, line)
        await asyncio.sleep(_AGAIN_AFTER.total_seconds())


async def _poll(crowd: Crowd, line: socket.socket) -> None:
    crowd.polls += 1
    try:
        await asyncio.get_running_loop().sock_recv(line, _READ)
    finally:
        crowd.polls -= 1


async def _read_slowly(crowd: Crowd, line: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    answer = await loop.sock_recv(line, _READ)
    if not answer.startswith(_OK):
        return
    crowd.readers += 1
    try:
        while answer:
            await asyncio.sleep(_READ_EVERY.total_seconds())
            answer = await loop.sock_recv(line, _READ)
    finally:
        crowd.readers -= 1
