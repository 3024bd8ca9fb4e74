"""A proxy before S3 that reads requests: it answers some with 503, and loses the answers of others."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.chaos.faults.tcp import CHUNK, FaultProxy

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.faults.tcp import Link

END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"(?im)^content-length: *([0-9]+)\r$")
_CHUNKED: Final = re.compile(rb"(?im)^transfer-encoding: *chunked\r$")
_EXPECT: Final = re.compile(rb"(?im)^expect: *100-continue\r\n")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BUSY_BODY: Final = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>chaos</Message></Error>'
_BUSY: Final = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_BUSY_BODY), _BUSY_BODY)
)
_WITHOUT_BODY: Final = {b"204", b"304"}


@dataclass(slots=True, eq=False)
class S3Proxy(FaultProxy):
    """A proxy that knows where a request begins.

    Attributes:
        storm: the share of requests that are answered with 503.
        random: decides which.
        lose: what the answers to be lost are of, once for each: a word of `<method> <path and query>`.
    """

    storm: float = 0.0
    random: Random | None = None
    lose: list[re.Pattern[str]] = field(default_factory=list)

    @contextmanager
    def storming(self, share: float, random: Random) -> Iterator[None]:
        """Answer a share of the requests with 503 while the block runs."""
        self.storm, self.random = share, random
        try:
            yield
        finally:
            self.storm = 0.0

    async def relay(self, link: Link, reader: asyncio.StreamReader, server_reader: asyncio.StreamReader) -> None:
        """Pass requests and answers on, one after the other."""
        while True:
            head = await reader.readuntil(END)
            method, target = head.split(b" ", 2)[:2]
            if _EXPECT.search(head):
                head = _EXPECT.sub(b"", head)
                link.client.write(_CONTINUE)
            if self.storm and self.random is not None and self.random.random() < self.storm:
                self.timeline.fired["s3: 503"] += 1
                await self._pass_body(head, reader, link, to_server=None)
                link.client.write(_BUSY)
                await link.client.drain()
                return
            await self.ask(link, head)
            await self._pass_body(head, reader, link, to_server=True)
            await self._pass_answer(
                link, server_reader, method, lost=self._is_lost(f"{method.decode()} {target.decode()}")
            )

    def _is_lost(self, asked: str) -> re.Pattern[str] | None:
        found = next((pattern for pattern in self.lose if pattern.search(asked)), None)
        if found is not None:
            self.lose.remove(found)
        return found

    async def _pass_answer(
        self, link: Link, server_reader: asyncio.StreamReader, method: bytes, *, lost: re.Pattern[str] | None
    ) -> None:
        head = await server_reader.readuntil(END)
        if lost is not None:
            # The server has done it: the answer has begun.
            self.timeline.fault("s3: lost answer", lost.pattern)
            link.reset()
            raise ConnectionAbortedError
        await self.answer(link, head)
        if method != b"HEAD" and head.split(b" ", 2)[1] not in _WITHOUT_BODY:
            await self._pass_body(head, server_reader, link, to_server=False)

    async def _pass_body(
        self, head: bytes, source: asyncio.StreamReader, link: Link, *, to_server: bool | None
    ) -> None:
        """Pass a body on, to the server, to the client, or to nobody."""

        async def give(data: bytes) -> None:
            if to_server is not None:
                await (self.ask(link, data) if to_server else self.answer(link, data))

        length = _LENGTH.search(head)
        if length is not None:
            left = int(length[1])
            while left:
                data = await source.read(min(left, CHUNK))
                if not data:
                    raise ConnectionAbortedError
                left -= len(data)
                await give(data)
        elif _CHUNKED.search(head):
            while True:
                line = await source.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                await give(line + await source.readexactly(size + 2))
                if not size:
                    return
