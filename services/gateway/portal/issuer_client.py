"""The issuer at which partners sign in: where a browser is sent, and what a code is exchanged for."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

import aiohttp
import structlog
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError, token_refused, unavailable
from exhaust.http.strict_json import strict_json
from exhaust.tokens.verifier import open_token_verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exhaust.postgres.token_subjects import TokenSubject
    from exhaust.tokens.issuers import Issuer
    from exhaust.tokens.verifier import TokenVerifier
    from services.gateway.portal.attempt import Attempt
    from services.gateway.settings import IssuerSettings

WITHIN: Final = timedelta(seconds=10)
CALLS_AT_ONCE: Final = 8
MAX_ANSWER: Final = 64 * 1024
MAX_CODE: Final = 4096

log = structlog.get_logger(__name__)


class IssuerClient:
    """Calls the issuer, as the client whose id its tokens have as their audience."""

    def __init__(
        self, settings: IssuerSettings, issuer: Issuer, tokens: TokenVerifier, http: aiohttp.ClientSession
    ) -> None:
        self._settings = settings
        self._client_id = issuer.audience
        self._tokens = tokens
        self._http = http
        self._gate = asyncio.Semaphore(CALLS_AT_ONCE)
        self.name = issuer.name
        self.host = URL(str(settings.portal_authorization_url)).host or issuer.name

    def address(self, attempt: Attempt, redirect: URL) -> URL:
        """Return where the browser is sent to sign in."""
        return URL(str(self._settings.portal_authorization_url)).update_query(
            response_type="code",
            client_id=self._client_id,
            redirect_uri=str(redirect),
            scope="openid",
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=attempt.challenge,
            code_challenge_method="S256",
        )

    async def redeem(self, code: str, attempt: Attempt, redirect: URL) -> TokenSubject:
        """Exchange the code for a token, verify it, and return its subject.

        Raises:
            ExhaustError: LOGIN_FAILED for a wrong code or token, SERVICE_UNAVAILABLE when the issuer does not answer.
        """
        if not 0 < len(code) <= MAX_CODE:
            raise token_refused()
        token = await self._exchange(code, attempt, redirect)
        verified = await self._tokens.verify_claims(token)
        nonce = verified.claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(errors="replace"), attempt.nonce.encode()
        ):
            log.info("token.refused", reason="nonce")
            raise token_refused()
        return verified.subject

    async def _exchange(self, code: str, attempt: Attempt, redirect: URL) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": str(redirect),
            "client_id": self._client_id,
            "code_verifier": attempt.verifier,
        }
        secret = self._settings.portal_client_secret
        headers = {"Authorization": _basic(self._client_id, secret.get_secret_value())} if secret else {}
        address = str(self._settings.portal_token_url)
        try:
            async with (
                self._gate,
                self._http.post(address, data=form, headers=headers, allow_redirects=False) as answer,
            ):
                body = await _read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("issuer.unavailable", reason=type(error).__name__)
            raise unavailable(self.host) from None
        token = body.get("id_token") if answer.status == HTTPStatus.OK else None
        if not isinstance(token, str):
            log.info("issuer.refused", status=answer.status)
            raise ExhaustError(ErrorCode.LOGIN_FAILED, f"{self.host} does not confirm this sign-in; begin again")
        return token


def _basic(client_id: str, secret: str) -> str:
    """Return the header of a client, both parts of which are form-encoded first (RFC 6749, 2.3.1)."""
    return aiohttp.encode_basic_auth(quote_plus(client_id), quote_plus(secret))


async def _read(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the object that an answer holds; an empty one for anything else."""
    data = bytearray()
    async for chunk in answer.content.iter_chunked(MAX_ANSWER):
        data += chunk
        if len(data) > MAX_ANSWER:
            return {}
    try:
        found = strict_json(bytes(data))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@asynccontextmanager
async def open_issuer_client(settings: IssuerSettings) -> AsyncIterator[IssuerClient]:
    """Open the client of the issuer that the settings name. It calls nobody before somebody signs in.

    Raises:
        IssuersFileError: the file cannot be used.
    """
    timeout = aiohttp.ClientTimeout(total=WITHIN.total_seconds())
    async with (
        open_token_verifier(settings.portal_issuer, setting="EXHAUST_PORTAL_ISSUER") as tokens,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=timeout) as http,
    ):
        yield IssuerClient(settings, tokens.only_issuer("EXHAUST_PORTAL_ISSUER"), tokens, http)
