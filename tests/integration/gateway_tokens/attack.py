"""A bad token, with the reason that the log gives for its refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_ALLOWED = "algorithm not allowed for this issuer"
BAD_SIGNATURE = "InvalidSignatureError"
UNKNOWN_KEY = "unknown key"
UNKNOWN_ISSUER = "unknown issuer"
BAD_LIFETIME = "lifetime not allowed for this issuer"
BAD_SHAPE = "not three parts in base64url"
TOO_LONG = "longer than a token may be"


@dataclass(frozen=True)
class Attack:
    """A bad token.

    Attributes:
        name: the fault, in words.
        reason: the reason in the log.
        make: builds the token from a TokenFactory.
    """

    name: str
    reason: str
    make: Callable[..., str]


def with_header(name: str, reason: str, algorithm: str = "EdDSA", **header: object) -> Attack:
    """Build an attack: a token with a valid signature and other header members."""
    return Attack(name, reason, lambda factory: factory.with_header(algorithm, **header))


def with_claims(name: str, reason: str, **claims: object) -> Attack:
    """Build an attack: a token with a valid signature and other claims."""
    return Attack(name, reason, lambda factory: factory.with_claims(**claims))
