"""An issuer with an authorization and a token endpoint, as strict as OAuth 2.0 and PKCE want it."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import jwt
from aiohttp import web
from yarl import URL

from exhaust.http.listener import open_listener
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from admin.test_issuer import LocalIssuer

SECRET = "a secret of the client"
SUBJECT = "somebody-at-the-issuer"


@dataclass(slots=True)
class FakeIssuer:
    """The issuer.

    Attributes:
        local: its name and its key.
        base: its address.
        claims: laid over those of the next tokens.
        codes: that were given out and not used, with what they were asked for by.
        calls: the forms that came to the token endpoint.
    """

    local: LocalIssuer
    base: str
    claims: dict[str, object] = field(default_factory=dict)
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    calls: list[Mapping[str, str]] = field(default_factory=list)

    async def authorize(self, request: web.Request) -> web.Response:
        """Sign everybody in who comes."""
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == self.local.audience
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = URL(asked["redirect_uri"]).update_query(code=code, state=asked["state"], session_state="x")
        return web.Response(status=302, headers={"Location": str(back)})

    async def token(self, request: web.Request) -> web.Response:
        """Exchange a code, once."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.calls.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        known = [unquote_plus(part) for part in b64decode(credentials).decode().split(":")]
        if asked is None or (scheme, known) != ("Basic", [self.local.audience, SECRET]) or not _fits(form, asked):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": self._mint(asked)})

    def _mint(self, asked: Mapping[str, str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.local.issuer,
            "aud": self.local.audience,
            "sub": SUBJECT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        kid = json.loads((self.local.folder / "jwks.json").read_text())["keys"][0]["kid"]
        key = (self.local.folder / "private.pem").read_text()
        return jwt.encode(claims | self.claims, key, self.local.algorithm, headers={"kid": kid})


def _fits(form: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    return challenge == asked["code_challenge"] and form["redirect_uri"] == asked["redirect_uri"]


@asynccontextmanager
async def open_fake_issuer(local: LocalIssuer) -> AsyncIterator[FakeIssuer]:
    """Listen until the block ends."""
    port = closed_port()
    issuer = FakeIssuer(local, f"http://127.0.0.1:{port}")
    app = web.Application()
    app.add_routes([web.get("/authorize", issuer.authorize), web.post("/token", issuer.token)])
    async with open_listener(app, "127.0.0.1", port):
        yield issuer
