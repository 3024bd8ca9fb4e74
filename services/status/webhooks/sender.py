"""The HTTP client of webhooks: one POST, to an address that may be called, with nothing followed and little read."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp

from exhaust.errors import ExhaustError
from exhaust.webhooks.addresses import may_be_called
from exhaust.webhooks.resolver import CheckedResolver, ForbiddenAddressError
from exhaust.webhooks.urls import parse_webhook_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from aiohttp.connector import AddrInfoType
    from yarl import URL

    from exhaust.webhooks.addresses import Network
    from exhaust.webhooks.resolver import Lookup

TIMEOUT: Final = timedelta(seconds=15)  # of all: names, connection, answer
MAX_READ: Final = 4096  # bytes of an answer, of which nothing is kept
MAX_HEADER: Final = 8190
REFUSED: Final = "the host has an address that must not be called"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call.

    Attributes:
        status: HTTP status; None without an answer.
        reason: why there was none, in our words; empty otherwise.
        refused: the address must not be called.
        retry_after: its header Retry-After, as it came.
    """

    status: int | None
    reason: str = ""
    refused: bool = False
    retry_after: str | None = None


class WebhookSender:
    """Sends messages. Every connection is a new one, whose very address is checked."""

    def __init__(self, https: aiohttp.ClientSession, http: aiohttp.ClientSession | None) -> None:
        """Prepare; without a session for http, none of its URLs is called."""
        self._sessions = {"https": https} | ({"http": http} if http else {})

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send one message, and return what came of it."""
        try:
            address = parse_webhook_url(url, allow_http="http" in self._sessions)
        except ExhaustError as error:
            return Reply(None, error.message.removeprefix("request/"), refused=True)
        try:
            async with asyncio.timeout(TIMEOUT.total_seconds()):
                return await self._post(address, body, headers)
        except TimeoutError:
            return Reply(None, f"no answer within {TIMEOUT.seconds} s")
        except aiohttp.ClientError as error:
            return _failed(error)

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Reply:
        session = self._sessions[url.scheme]
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            await answer.content.read(MAX_READ)  # a receiver may be cut off in the middle of more
            return Reply(answer.status, retry_after=answer.headers.get("Retry-After"))


def _failed(error: aiohttp.ClientError) -> Reply:
    """Say in our words why there was no answer: the library's hold addresses."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ForbiddenAddressError):
            return Reply(None, REFUSED, refused=True)
        cause = cause.__cause__
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Reply(None, "the certificate of the receiver is not valid for its host")
        case aiohttp.ClientConnectorDNSError():
            return Reply(None, "the host has no address")
        case aiohttp.ClientConnectorError():
            return Reply(None, "no connection")
    return Reply(None, "the connection broke, or the answer was no HTTP")


def checked_socket(allowed: Collection[Network], *, public: bool = True) -> Callable[[AddrInfoType], socket.socket]:
    """Build what makes the socket of a connection, when its address may be called.

    Whoever connects does so to the very address that is checked here, be it from a name, from numbers in the URL, or
    from an answer of DNS that was another one a moment ago.

    Args:
        allowed: networks that operators allow.
        public: allow the public internet too.
    """

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        if not may_be_called(host, allowed, public=public):
            raise ForbiddenAddressError(REFUSED)
        return socket.socket(family, kind, protocol)

    return make


@asynccontextmanager
async def open_sender(
    lookup: Lookup, allowed: Collection[Network], *, trusted: ssl.SSLContext | None = None
) -> AsyncIterator[WebhookSender]:
    """Open a sender for the time of the block.

    Args:
        lookup: finds the addresses of hosts.
        allowed: networks that operators allow beside the public internet; there http is allowed too.
        trusted: the authorities of certificates; those of this system by default.
    """
    resolver = CheckedResolver(lookup, allowed)
    context = trusted or ssl.create_default_context()
    async with _session(resolver, checked_socket(allowed), context) as https:
        if not allowed:
            yield WebhookSender(https, None)
            return
        async with _session(resolver, checked_socket(allowed, public=False), context) as http:
            yield WebhookSender(https, http)


def _session(
    resolver: CheckedResolver, make_socket: Callable[[AddrInfoType], socket.socket], context: ssl.SSLContext
) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        use_dns_cache=False,
        force_close=True,
        limit=0,  # whoever sends has its own limits
        ssl=context,
        socket_factory=make_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,  # a proxy would look elsewhere
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
        timeout=aiohttp.ClientTimeout(total=None),
    )
