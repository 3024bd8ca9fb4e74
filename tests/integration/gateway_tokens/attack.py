"""What a bad token is in these tests."""

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
        name: what is wrong with it.
        reason: what the log says of it.
        make: the token, in a given World.
    """

    name: str
    reason: str
    make: Callable[..., str]


def headed(name: str, reason: str, algorithm: str = "EdDSA", **header: object) -> Attack:
    """Rightly signed, with another header."""
    return Attack(name, reason, lambda world: world.headed(algorithm, **header))


def claiming(name: str, reason: str, **claims: object) -> Attack:
    """Rightly signed, with other claims."""
    return Attack(name, reason, lambda world: world.claiming(**claims))
