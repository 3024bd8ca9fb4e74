"""A proxy before PostgreSQL that loses answers: the server commits, and the client never learns it.

It follows the client's messages (https://www.postgresql.org/docs/18/protocol-message-formats.html): Query, and Parse,
Bind and Sync, with which a prepared statement is a transaction of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.chaos.faults.tcp import FaultProxy

if TYPE_CHECKING:
    import asyncio

    from tests.chaos.faults.tcp import Link

_SSL_REQUEST: Final = 80877103


@dataclass(slots=True)
class _Conversation:
    """What a client has said so far on one connection."""

    begun: bool = False
    buffer: bytes = b""
    statements: dict[bytes, bytes] = field(default_factory=dict)
    bound: bytes = b""

    def hear(self, data: bytes) -> list[bytes]:
        """Take in bytes; return the texts of the statements that the server runs to their end because of them."""
        self.buffer += data
        run = []
        while (message := self._next()) is not None:
            kind, body = message
            if kind == b"Q":
                run.append(body.rstrip(b"\0"))
            elif kind == b"P":
                name, text = body.split(b"\0")[:2]
                self.statements[name] = text
            elif kind == b"B":
                self.bound = self.statements.get(body.split(b"\0")[1], b"")
            elif kind == b"S" and self.bound:
                run.append(self.bound)
                self.bound = b""
        return run

    def _next(self) -> tuple[bytes, bytes] | None:
        skipped = 1 if self.begun else 0  # the first messages have no kind
        if len(self.buffer) < skipped + 4:
            return None
        [length] = struct.unpack_from(">i", self.buffer, skipped)
        if len(self.buffer) < skipped + length:
            return None
        kind, body = self.buffer[:skipped], self.buffer[skipped + 4 : skipped + length]
        self.buffer = self.buffer[skipped + length :]
        if not self.begun:
            self.begun = struct.unpack_from(">i", body)[0] != _SSL_REQUEST
            return b"", b""
        return kind, body


@dataclass(slots=True, eq=False)
class PostgresProxy(FaultProxy):
    """A proxy that can lose the answer of a statement.

    Attributes:
        lose: words; the answer of the next statement that holds one is lost, once for each time it stands here.
    """

    lose: list[bytes] = field(default_factory=list)
    conversations: dict[int, _Conversation] = field(default_factory=dict)
    losing: set[int] = field(default_factory=set)

    async def ask(self, link: Link, data: bytes) -> None:
        conversation = self.conversations.setdefault(id(link), _Conversation())
        for text in conversation.hear(data):
            word = next((word for word in self.lose if word in text), None)
            if word is not None:
                self.lose.remove(word)
                self.losing.add(id(link))
                self.timeline.fault(f"postgres: lost answer of {word.decode()}")
        await FaultProxy.ask(self, link, data)

    async def answer(self, link: Link, data: bytes) -> None:
        if id(link) in self.losing:
            self.losing.discard(id(link))
            link.reset()
            raise ConnectionAbortedError
        await FaultProxy.answer(self, link, data)

    async def relay(self, link: Link, reader: asyncio.StreamReader, server_reader: asyncio.StreamReader) -> None:
        try:
            await FaultProxy.relay(self, link, reader, server_reader)
        finally:
            self.conversations.pop(id(link), None)
            self.losing.discard(id(link))
