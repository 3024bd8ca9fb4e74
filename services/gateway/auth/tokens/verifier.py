"""Tells who the bearer of a token is, or that it is no good: all bad tokens get the same answer."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import jwt
import structlog
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.auth.tokens.issuers import Issuer, load_issuers
from services.gateway.auth.tokens.jwks_address import JwksAddress
from services.gateway.auth.tokens.key_sources import FixedKey, JwksFile, KeySource
from services.gateway.auth.tokens.unverified import BadTokenError, Claims, check_claims, take_apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from jwt.types import Options

REFUSAL: Final = "the token is not accepted; get a new one from your issuer"
_OPTIONS: Final[Options] = {
    "require": ["exp", "iat", "aud", "iss", "sub"],
    "strict_aud": True,
    "enforce_minimum_key_length": True,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a good token: the subject means nothing without its issuer."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer and its keys, open."""

    issuer: Issuer
    keys: KeySource


class TokenVerifier:
    """Verifies the tokens of the issuers in the file."""

    def __init__(self, trusted: Mapping[str, TrustedIssuer]) -> None:
        """Prepare.

        Args:
            trusted: by name. With none, every token is refused.
        """
        self._trusted = trusted

    async def verify(self, token: str) -> Caller:
        """The bearer of a token.

        Args:
            token: what follows `Bearer ` in the Authorization header, as it came.

        Raises:
            ExhaustError: LOGIN_FAILED, always with REFUSAL; the reason is logged, without any value of the token.
        """
        try:
            return await self._verify(token)
        except BadTokenError as error:
            log.info("token.refused", reason=str(error))
        except jwt.PyJWTError as error:
            # Its message may quote the token; its kind is reason enough.
            log.info("token.refused", reason=type(error).__name__)
        raise ExhaustError(ErrorCode.LOGIN_FAILED, REFUSAL)

    async def _verify(self, text: str) -> Caller:
        token = take_apart(text)
        # The unverified issuer and key id only pick an entry and its key. From here on only verified claims count.
        trusted = self._trusted.get(token.issuer)
        if trusted is None:
            raise BadTokenError("unknown issuer")
        issuer = trusted.issuer
        if token.algorithm not in issuer.algorithms:
            raise BadTokenError("algorithm not allowed for this issuer")
        key = await trusted.keys.find(token.key_id, token.algorithm)
        if key is None:
            raise BadTokenError("unknown key")
        verified = jwt.decode(
            text,
            key.material,
            algorithms=[key.algorithm],
            audience=issuer.audience,
            issuer=issuer.name,
            leeway=issuer.leeway,
            options=_OPTIONS,
        )
        claims = check_claims(verified)
        _check_lifetime(claims, issuer)
        return Caller(claims.iss, claims.sub)


def _check_lifetime(claims: Claims, issuer: Issuer) -> None:
    lifetime = claims.exp - claims.iat
    if not 0 < lifetime <= issuer.max_lifetime.total_seconds():
        raise BadTokenError("lifetime not allowed for this issuer")


@asynccontextmanager
async def open_token_verifier(
    path: Path | None,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[TokenVerifier]:
    """A verifier while the block runs. Addresses are called when the first token asks for them, not here.

    Args:
        path: the file of issuers; None refuses every token.
        environ: where the secrets of HS256 issuers are.
        clock: seconds, never going back; decides the age of fetched keys.

    Raises:
        TokenIssuersError: the file cannot be used.
    """
    issuers = () if path is None else load_issuers(path, environ)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(_key_session())
        trusted = {}
        for issuer in issuers:
            source = _key_source(issuer, session, clock)
            if isinstance(source, JwksAddress):
                stack.push_async_callback(source.close)
            trusted[issuer.name] = TrustedIssuer(issuer, source)
        yield TokenVerifier(trusted)


def _key_session() -> aiohttp.ClientSession:
    """For fetching keys: nothing is kept from one answer to the next, and nothing is unpacked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _key_source(
    issuer: Issuer, session: aiohttp.ClientSession, clock: Callable[[], float]
) -> FixedKey | JwksFile | JwksAddress:
    match issuer.keys:
        case Path() as path:
            return JwksFile(path, clock)
        case URL() as url:
            return JwksAddress(url, session, clock)
        case key:
            return FixedKey(key)
