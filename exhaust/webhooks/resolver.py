"""The resolver of webhooks' hosts: it gives addresses that may be called, or none."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp.abc import AbstractResolver, ResolveResult

from exhaust.webhooks.addresses import may_be_called

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from exhaust.webhooks.addresses import Network

MAX_ADDRESSES: Final = 16  # of a name; who has more is called at none of them


class ForbiddenAddressError(OSError):
    """A host has an address that webhooks must not lead to."""


class Lookup(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, /) -> Sequence[str]:
        """Return the addresses, as numbers.

        Raises:
            OSError: there are none.
        """


def system_addresses(host: str) -> list[str]:
    """Return the addresses of a host as this machine finds them, which blocks.

    Raises:
        OSError: there are none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


@contextmanager
def open_lookup(threads: int, find: Callable[[str], list[str]] = system_addresses) -> Iterator[Lookup]:
    """Look names up in threads of their own, for the time of the block.

    A server of names that never answers holds a thread for half a minute. So nothing else waits for these threads, and
    a host has one of them, however many look for it.

    Args:
        threads: at most.
        find: looks a host up.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix="webhook-names")
    running: dict[str, asyncio.Future[list[str]]] = {}

    async def lookup(host: str) -> list[str]:
        found = running.get(host)
        if found is None:
            found = running[host] = asyncio.get_running_loop().run_in_executor(executor, find, host)
            found.add_done_callback(lambda done: _forget(running, host, done))
        return await asyncio.shield(found)  # who gives up cancels nobody else's answer

    try:
        yield lookup
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _forget(running: dict[str, asyncio.Future[list[str]]], host: str, done: asyncio.Future[list[str]]) -> None:
    del running[host]
    if not done.cancelled():
        done.exception()  # nobody may be left who asks for it


class CheckedResolver(AbstractResolver):
    """A resolver for aiohttp. A name of which one address must not be called is not called at all."""

    def __init__(self, lookup: Lookup, allowed: Collection[Network]) -> None:
        """Prepare.

        Args:
            lookup: finds the addresses.
            allowed: networks that operators allow beside the public internet.
        """
        self._lookup = lookup
        self._allowed = allowed

    async def addresses(self, host: str, *, public: bool = True) -> Sequence[str]:
        """Return the addresses of a host.

        Args:
            host: a name, or an address as numbers.
            public: allow the public internet; else only the networks that operators allow.

        Raises:
            OSError: there are none, too many, or one that must not be called (ForbiddenAddressError).
        """
        found = await self._lookup(host)
        if not 0 < len(found) <= MAX_ADDRESSES:
            raise OSError("the host has no address, or too many")
        if not all(may_be_called(address, self._allowed, public=public) for address in found):
            raise ForbiddenAddressError("the host has an address that must not be called")
        return found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return what aiohttp connects to."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self.addresses(host)
            if family in {socket.AF_UNSPEC, socket.AF_INET6 if ":" in address else socket.AF_INET}
        ]

    async def close(self) -> None:
        """Do nothing: the lookup is closed by whoever opened it."""
