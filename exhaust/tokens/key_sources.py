"""The sources of an issuer's keys: a key from the configuration, a JWKS file, a JWKS at a URL.

A changed JWKS takes effect without a restart. A source never comes from a token, only from the issuers file.
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

from exhaust.tokens.keys import (
    MAX_KEY_FILE_BYTES,
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
MTIME_RESOLUTION: Final = timedelta(milliseconds=50)  # file systems round mtime to 4 or 10 ms; this is well above

log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """A source of an issuer's keys."""

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """Return the key that a token names; None when the issuer has no such key.

        Args:
            kid: the token's key id; empty when it has none.
            algorithm: the token's algorithm.
        """


class StaticKey:
    """A source of one key without a key id. It serves for tokens of any key id."""

    def __init__(self, key: VerificationKey) -> None:
        self.key = key

    async def find(self, _kid: str, algorithm: str, /) -> VerificationKey | None:
        """Implement KeySource."""
        return self.key if self.key.algorithm == algorithm else None


@dataclass(slots=True)
class CachedKeySet:
    """The last valid key set of a source. It serves for USABLE_FOR after it was last confirmed.

    Attributes:
        confirmed_at: seconds of the source's clock.
    """

    keys: KeySet = field(default_factory=KeySet)
    confirmed_at: float = -math.inf

    def find(self, kid: str, algorithm: str, now: float) -> VerificationKey | None:
        """Return the key that a token names; None when there is none, or when the set is too old."""
        return self.keys.find(kid, algorithm) if now - self.confirmed_at <= USABLE_FOR.total_seconds() else None


class JwksFile:
    """A JWKS file. It is read again when it changes; its last valid keys serve while it is missing or invalid."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._cached = CachedKeySet()
        self._version: tuple[int, ...] | None = ()
        self._valid = False

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """Implement KeySource."""
        # This blocks the event loop, but shortly: for a stat, and after a change for a read of MAX_KEY_FILE_BYTES.
        version = self._current_version()
        if version != self._version:
            self._version = version
            self._valid = self._read()
        now = self._clock()
        if self._valid:
            self._cached.confirmed_at = now
        return self._cached.find(kid, algorithm, now)

    def _current_version(self) -> tuple[int, ...] | None:
        """Return a value that differs after each change of the file; None when there is no file."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        now_ns = time.time_ns()
        # A second change within the resolution leaves the mtime as it is, so a young file counts as changed each time.
        settled = now_ns - stat.st_mtime_ns > MTIME_RESOLUTION.total_seconds() * 1e9
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino, 0 if settled else now_ns)

    def _read(self) -> bool:
        try:
            self._cached.keys = parse_jwks(read_key_file(self.path))
        except UnusableKeyError as error:
            log.warning("jwks.file_refused", file=str(self.path), reason=str(error))
            return False
        return True


class RemoteJwks:
    """A JWKS at a URL. Its last valid keys serve while it cannot be fetched.

    A token causes a fetch when the keys are older than REFRESH_AFTER or do not include the token's key. Fetches start
    at least MIN_REFRESH_INTERVAL apart, so that tokens with invented key ids cannot flood the issuer.
    PyJWKClient does not serve here: it blocks the thread, reads answers of any size, and has no keys during an outage.
    """

    def __init__(self, url: URL, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare without a fetch; the clock gives seconds and never goes back."""
        self.url = url
        self._clock = clock
        self._cached = CachedKeySet()
        self._last_fetch_failed = False
        self._fetch_started_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """Implement KeySource. Wait for a fetch, at most FETCH_TIMEOUT, when it may change the result."""
        key = self._cached.find(kid, algorithm, self._clock())
        if key is not None and self._clock() - self._cached.confirmed_at < REFRESH_AFTER.total_seconds():
            return key
        fetching = self._start_fetch()
        # During an outage, tokens of known keys do not wait.
        if fetching is None or (key is not None and self._last_fetch_failed):
            return key
        # asyncio.wait and not await: a cancelled caller must not cancel the fetch that others wait for.
        await asyncio.wait([fetching])
        return self._cached.find(kid, algorithm, self._clock())

    async def close(self) -> None:
        """Cancel the fetch in progress."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress, or start one; None when the last one started too recently."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() - self._fetch_started_at < MIN_REFRESH_INTERVAL.total_seconds():
            return None
        self._fetch_started_at = self._clock()
        self._fetching = asyncio.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        try:
            self._cached.keys = parse_jwks(await self._fetch())
        except (UnusableKeyError, aiohttp.ClientError, TimeoutError, OSError) as error:
            self._last_fetch_failed = True
            log.warning("jwks.fetch_failed", url=str(self.url), reason=str(error) or type(error).__name__)
        else:
            self._last_fetch_failed = False
            self._cached.confirmed_at = self._clock()

    async def _fetch(self) -> bytes:
        # One session a fetch carries no cookie and no connection over. Redirects could leave https or reach our own
        # network. Without decompression, the limit below is also the limit of what a small answer can expand to.
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
                if len(body) > MAX_KEY_FILE_BYTES:
                    raise UnusableKeyError(f"it has more than {MAX_KEY_FILE_BYTES} bytes")
            return bytes(body)
