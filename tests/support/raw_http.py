"""HTTP by the byte, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 15.0
GOOD_REQUEST = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True)
class RawReply:
    """An answer as it came over the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def read_reply(reader: asyncio.StreamReader) -> RawReply:
    """The next answer of a connection."""
    async with asyncio.timeout(TIMEOUT_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return RawReply(int(head[0].split()[1]), headers, body)


async def exchange(port: int, request: bytes, later: bytes = b"") -> tuple[RawReply, bool]:
    """The answer to a request, and whether the server closed the connection after it.

    Args:
        port: of 127.0.0.1.
        request: as it is sent.
        later: sent when the server has answered 100 Continue, which `request` must then expect.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        if later:
            assert (await read_reply(reader)).status == 100
            writer.write(later)
        reply = await read_reply(reader)
        try:
            writer.write(GOOD_REQUEST)
            assert (await read_reply(reader)).status == 200
        except (asyncio.IncompleteReadError, ConnectionError):
            return reply, True
        return reply, False
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
