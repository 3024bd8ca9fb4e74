"""Tokens with roles in them, of a local issuer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt

if TYPE_CHECKING:
    from admin.test_issuer import LocalIssuer


def mint_with_roles(local: LocalIssuer, subject: str, roles: object, claim: str = "roles") -> str:
    now = int(time.time())
    claims = {"iss": local.issuer, "aud": local.audience, "sub": subject, "iat": now, "exp": now + 600, claim: roles}
    key = (local.folder / "private.pem").read_text()
    return jwt.encode(claims, key, local.algorithm)
