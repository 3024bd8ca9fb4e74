"""An issuer's keys at an address, fetched and kept. A token's own idea of where its key is never gets here."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

import aiohttp
import structlog

from services.gateway.auth.tokens.jwks import MAX_JWKS_BYTES, parse_jwks
from services.gateway.auth.tokens.key_sources import LastGood
from services.gateway.auth.tokens.keys import UnusableKeyError, VerificationKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

REFRESH_AFTER_S: Final = 300.0
MIN_REFRESH_INTERVAL_S: Final = 10.0
FETCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
HTTP_OK: Final = 200

log = structlog.get_logger(__name__)


class JwksAddress:
    """A JWKS at an address. While it cannot be fetched, its last good keys serve.

    It is fetched again once its keys are REFRESH_AFTER_S old, and for a key that is not among them, but no more
    often than every MIN_REFRESH_INTERVAL_S: whoever sends made-up key ids cannot make us flood the issuer.
    """

    def __init__(self, url: URL, session: aiohttp.ClientSession, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            url: as checked in the file of issuers.
            session: without cookies, proxies and decompression.
            clock: seconds, never going back.
        """
        self._url = url
        self._session = session
        self._clock = clock
        self._good = LastGood()
        self._failing = False
        self._tried_at = -math.inf
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource. Waits for a fetch where that may help: at most FETCH_TIMEOUT."""
        key = self._good.find(kid, algorithm, self._clock())
        if key is not None and self._clock() - self._good.at < REFRESH_AFTER_S:
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
        if self._clock() - self._tried_at < MIN_REFRESH_INTERVAL_S:
            return None
        self._tried_at = self._clock()
        self._refreshing = asyncio.create_task(self._fetch_keys())
        return self._refreshing

    async def _fetch_keys(self) -> None:
        try:
            self._good.keys = parse_jwks(await self._fetch())
        except (UnusableKeyError, aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failing = True
            log.warning("jwks.fetch_failed", url=str(self._url), reason=str(error) or type(error).__name__)
        else:
            self._failing = False
            self._good.at = self._clock()

    async def _fetch(self) -> bytes:
        # No redirects: they could leave https, or lead into our own network.
        async with self._session.get(
            self._url, allow_redirects=False, timeout=FETCH_TIMEOUT, headers={"Accept-Encoding": "identity"}
        ) as answer:
            if answer.status != HTTP_OK:
                raise UnusableKeyError(f"it answers {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise UnusableKeyError(f"it has more than {MAX_JWKS_BYTES} bytes")
            return bytes(body)
