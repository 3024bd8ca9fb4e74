"""Where an issuer's keys come from: known from the start, in a file, or at an address. A rotated key needs no restart.

A token's own idea of where its key is never gets here.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
import structlog

from services.gateway.auth.tokens.keys import (
    MAX_KEYS_BYTES,
    KeySet,
    UnusableKeyError,
    VerificationKey,
    parse_jwks,
    read_key_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from yarl import URL

USABLE_FOR: Final = timedelta(days=1)
REFRESH_AFTER: Final = timedelta(minutes=5)
MIN_REFRESH_INTERVAL: Final = timedelta(seconds=10)
FETCH_TIMEOUT: Final = timedelta(seconds=5)
HTTP_OK: Final = 200
CLOCK_TICK: Final = timedelta(milliseconds=50)  # well over the ticks in which file systems count (4 or 10 ms)

log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """An issuer's keys."""

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """The key that a token means; None when there is none.

        Args:
            kid: the token's key id, empty when it has none.
            algorithm: the token's.
        """


class FixedKey:
    """One key for all tokens. It has no key id, so it does not matter what theirs is."""

    def __init__(self, key: VerificationKey) -> None:
        self.key = key

    async def find(self, _kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource."""
        return self.key if self.key.algorithm == algorithm else None


@dataclass(slots=True)
class LastGood:
    """The keys that were last seen in order, and when (seconds of the clock). They serve for a day."""

    keys: KeySet = field(default_factory=KeySet)
    at: float = -math.inf

    def find(self, kid: str, algorithm: str, now: float) -> VerificationKey | None:
        """The key that a token means; None when there is none, or when all are too old."""
        return self.keys.find(kid, algorithm) if now - self.at <= USABLE_FOR.total_seconds() else None


class JwksFile:
    """A JWKS file, read again when it changes. While it is away or broken, its last good keys serve."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._good = LastGood()
        self._version: tuple[int, ...] | None = ()
        self._in_order = False

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource."""
        # Blocks, but briefly: a stat, and after a change a local file of at most MAX_KEYS_BYTES.
        version = self._look()
        if version != self._version:
            self._version = version
            self._in_order = self._read()
        now = self._clock()
        if self._in_order:
            self._good.at = now
        return self._good.find(kid, algorithm, now)

    def _look(self) -> tuple[int, ...] | None:
        """What tells one version of the file from the next; None when there is no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        now_ns = time.time_ns()
        # A file changed a moment ago may change again without a new mtime: then the time of looking tells them apart.
        settled = now_ns - found.st_mtime_ns > CLOCK_TICK.total_seconds() * 1e9
        return (found.st_mtime_ns, found.st_size, found.st_ino, 0 if settled else now_ns)

    def _read(self) -> bool:
        try:
            self._good.keys = parse_jwks(read_key_file(self.path))
        except UnusableKeyError as error:
            log.warning("jwks.file_refused", file=str(self.path), reason=str(error))
            return False
        return True


class JwksAddress:
    """A JWKS at an address. While it cannot be fetched, its last good keys serve.

    It is fetched again once its keys are REFRESH_AFTER old, and for a key that is not among them, but no more
    often than every MIN_REFRESH_INTERVAL: whoever sends made-up key ids cannot make us flood the issuer.
    PyJWKClient is not used: it blocks the thread, reads an answer of any size, and has no keys while the address fails.
    """

    def __init__(self, url: URL, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is fetched yet. The clock gives seconds and never goes back."""
        self.url = url
        self._clock = clock
        self._good = LastGood()
        self._failing = False
        self._tried_at = -math.inf
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource. Waits for a fetch where that may help: at most FETCH_TIMEOUT."""
        key = self._good.find(kid, algorithm, self._clock())
        if key is not None and self._clock() - self._good.at < REFRESH_AFTER.total_seconds():
            return key
        refreshing = self._refresh()
        # While the address fails, a key that is known does not wait for it.
        if refreshing is None or (key is not None and self._failing):
            return key
        # wait, not await: a caller who goes away must not take the fetch from the others.
        await asyncio.wait([refreshing])
        return self._good.find(kid, algorithm, self._clock())

    async def close(self) -> None:
        """Give up the fetch under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None when the last one began too short a time ago."""
        if self._refreshing is not None and not self._refreshing.done():
            return self._refreshing
        if self._clock() - self._tried_at < MIN_REFRESH_INTERVAL.total_seconds():
            return None
        self._tried_at = self._clock()
        self._refreshing = asyncio.create_task(self._fetch_keys())
        return self._refreshing

    async def _fetch_keys(self) -> None:
        try:
            self._good.keys = parse_jwks(await self._fetch())
        except (UnusableKeyError, aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failing = True
            log.warning("jwks.fetch_failed", url=str(self.url), reason=str(error) or type(error).__name__)
        else:
            self._failing = False
            self._good.at = self._clock()

    async def _fetch(self) -> bytes:
        # Nothing is kept from one answer to the next, and nothing is unpacked. No redirects: they could leave https, or
        # lead into our own network.
        async with (
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT.total_seconds()),
            ) as session,
            session.get(self.url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status != HTTP_OK:
                raise UnusableKeyError(f"it answers {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MAX_KEYS_BYTES:
                    raise UnusableKeyError(f"it has more than {MAX_KEYS_BYTES} bytes")
            return bytes(body)
