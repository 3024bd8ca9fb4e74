"""The token verifier. It gives all bad tokens the same answer."""

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
from exhaust.postgres.token_subjects import TokenSubject
from exhaust.tokens.issuers import Issuer, IssuersFileError, load_issuers
from exhaust.tokens.key_sources import RemoteJwks
from exhaust.tokens.parser import BadTokenError, Claims, parse_token

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
class VerifiedToken:
    """What the signature of a token vouches for.

    Attributes:
        claims: all of them, also those that are not read here.
    """

    subject: TokenSubject
    claims: Mapping[str, object]


class TokenVerifier:
    """A verifier of the tokens of trusted issuers."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        """Prepare. Without issuers it refuses every token."""
        self._issuers = {issuer.name: issuer for issuer in issuers}

    def only_issuer(self, setting: str) -> Issuer:
        """Return the one issuer of a file that shall name no other.

        Raises:
            IssuersFileError: it names several.
        """
        if len(self._issuers) != 1:
            raise IssuersFileError(f"{setting} names a file with {len(self._issuers)} issuers; give it one")
        return next(iter(self._issuers.values()))

    async def verify(self, token: str) -> TokenSubject:
        """Verify a token, and return its subject.

        Args:
            token: the text after `Bearer ` in the Authorization header, unchanged.

        Raises:
            ExhaustError: token_refused, whatever is wrong. The log gives the reason, without any value of the token.
        """
        return (await self.verify_claims(token)).subject

    async def verify_claims(self, token: str) -> VerifiedToken:
        """Verify a token, and return its subject and all of its claims.

        Raises:
            ExhaustError: token_refused, as from verify.
        """
        try:
            return await self._verify(token)
        except BadTokenError as error:
            log.info("token.refused", reason=str(error))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            log.info("token.refused", reason=f"{first['loc'][0]}: {first['type']}")
        except jwt.PyJWTError as error:
            # The message may quote the token, so the log gives the type alone.
            log.info("token.refused", reason=type(error).__name__)
        raise token_refused()

    async def _verify(self, token: str) -> VerifiedToken:
        # The unverified parts select the issuer's entry and its key. From then on only verified claims count.
        unverified = parse_token(token)
        issuer = self._issuers.get(unverified.issuer)
        if issuer is None:
            raise BadTokenError("unknown issuer")
        if unverified.algorithm not in issuer.algorithms:
            raise BadTokenError("algorithm not allowed for this issuer")
        key = await issuer.key_source.find(unverified.key_id, unverified.algorithm)
        if key is None:
            raise BadTokenError("unknown key")
        verified = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=issuer.audience,
            issuer=issuer.name,
            leeway=issuer.leeway,
            options=_OPTIONS,
        )
        claims = Claims.model_validate(verified)
        _check_lifetime(claims, issuer)
        return VerifiedToken(TokenSubject(claims.iss, claims.sub), verified)


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
    setting: str = "EXHAUST_TOKEN_ISSUERS",
) -> AsyncIterator[TokenVerifier]:
    """Open a verifier for the issuers of a file. It fetches no keys before a token needs them.

    Args:
        path: the issuers file; None refuses every token.
        environ: the environment variables that hold the secrets of HS256 issuers.
        clock: seconds, never going back; measures the age of cached keys.
        setting: that names the file, for the error.

    Raises:
        IssuersFileError: the file, an entry or a key cannot be used.
    """
    issuers = () if path is None else load_issuers(path, environ, clock, setting)
    try:
        yield TokenVerifier(issuers)
    finally:
        for issuer in issuers:
            if isinstance(issuer.key_source, RemoteJwks):
                await issuer.key_source.close()
