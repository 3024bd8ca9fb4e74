"""Tells who the bearer of a token is, or that it is no good: all bad tokens get the same answer."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import jwt
import structlog
from pydantic import ValidationError

from exhaust.errors import token_refused
from services.gateway.auth.tokens.issuers import Issuer, load_issuers
from services.gateway.auth.tokens.key_sources import JwksAddress
from services.gateway.auth.tokens.unverified import BadTokenError, Claims, take_apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from jwt.types import Options

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


class TokenVerifier:
    """Verifies the tokens of the issuers in the file."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        """Prepare; with no issuers, every token is refused."""
        self._issuers = {issuer.name: issuer for issuer in issuers}

    async def verify(self, token: str) -> Caller:
        """The bearer of a token.

        Args:
            token: what follows `Bearer ` in the Authorization header, as it came.

        Raises:
            ExhaustError: token_refused, whatever is wrong; the reason is logged, without any value of the token.
        """
        try:
            return await self._verify(token)
        except BadTokenError as error:
            log.info("token.refused", reason=str(error))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False, include_context=False)[0]
            log.info("token.refused", reason=f"{wrong['loc'][0]}: {wrong['type']}")
        except jwt.PyJWTError as error:
            # Its message may quote the token; its kind is reason enough.
            log.info("token.refused", reason=type(error).__name__)
        raise token_refused()

    async def _verify(self, text: str) -> Caller:
        token = take_apart(text)
        # The unverified issuer and key id only pick an entry and its key. From here on only verified claims count.
        issuer = self._issuers.get(token.issuer)
        if issuer is None:
            raise BadTokenError("unknown issuer")
        if token.algorithm not in issuer.algorithms:
            raise BadTokenError("algorithm not allowed for this issuer")
        key = await issuer.keys.find(token.key_id, token.algorithm)
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
        claims = Claims.model_validate(verified)
        _check_lifetime(claims, issuer)
        return Caller(claims.iss, claims.sub)


def _check_lifetime(claims: Claims, issuer: Issuer) -> None:
    lifetime = timedelta(seconds=claims.exp - claims.iat)
    if not timedelta() < lifetime <= issuer.max_lifetime:
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
    issuers = () if path is None else load_issuers(path, environ, clock)
    try:
        yield TokenVerifier(issuers)
    finally:
        for issuer in issuers:
            if isinstance(issuer.keys, JwksAddress):
                await issuer.keys.close()
