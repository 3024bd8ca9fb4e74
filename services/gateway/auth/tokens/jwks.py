"""JSON Web Key Sets (RFC 7517): which of their keys can verify tokens, and which one a token means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from exhaust.http.strict_json import strict_json
from services.gateway.auth.tokens.keys import MAX_FILE_BYTES, UnusableKeyError, VerificationKey, checked_key

MAX_JWKS_BYTES: Final = MAX_FILE_BYTES
MAX_JWKS_KEYS: Final = 50
MAX_KID_LENGTH: Final = 128

# The public members of each type (RFC 7518, 6; RFC 8037, 2): a private member is never read.
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a JWKS.

    Attributes:
        named: by key id and algorithm.
        unnamed: those without a key id.
    """

    named: dict[tuple[str, str], VerificationKey] = field(default_factory=dict)
    unnamed: tuple[VerificationKey, ...] = ()

    @property
    def algorithms(self) -> set[str]:
        """What the keys verify."""
        return {key.algorithm for key in (*self.named.values(), *self.unnamed)}

    def find(self, kid: str, algorithm: str) -> VerificationKey | None:
        """The key that a token means.

        Args:
            kid: the token's key id; empty when it has none: then the algorithm must leave one choice.
            algorithm: the token's.
        """
        if kid:
            return self.named.get((kid, algorithm))
        fitting = [key for key in (*self.named.values(), *self.unnamed) if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None


def parse_jwks(raw: bytes) -> KeySet:
    """The usable keys of a JSON Web Key Set; others in it are passed over (RFC 7517, 5).

    Raises:
        UnusableKeyError: not a JWKS, over the limits, two keys of one name, or no usable key.
    """
    members = _members(raw)
    named: list[tuple[tuple[str, str], VerificationKey]] = []
    unnamed: list[VerificationKey] = []
    refusals: list[str] = []
    for number, member in enumerate(members, start=1):
        try:
            key = _jwk(member)
            kid = _kid(member)
        except UnusableKeyError as error:
            refusals.append(f"key {number}: {error}")
        else:
            unnamed.append(key) if kid is None else named.append(((kid, key.algorithm), key))
    if max(Counter(name for name, _ in named).values(), default=0) > 1:
        raise UnusableKeyError("two keys have the same kid; give each its own")
    if not named and not unnamed:
        raise UnusableKeyError(f"there is no usable key ({'; '.join(refusals) or 'the set is empty'})")
    return KeySet(dict(named), tuple(unnamed))


def _members(raw: bytes) -> list[dict[str, object]]:
    if len(raw) > MAX_JWKS_BYTES:
        raise UnusableKeyError(f"a JWKS must be at most {MAX_JWKS_BYTES} bytes")
    try:
        document = strict_json(raw)
    except ValueError:
        raise UnusableKeyError("this is not JSON with distinct names") from None
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise UnusableKeyError('this is not a JWKS: {"keys": [...]}')
    if len(members) > MAX_JWKS_KEYS:
        raise UnusableKeyError(f"a JWKS must have at most {MAX_JWKS_KEYS} keys")
    return [member if isinstance(member, dict) else {} for member in members]


def _jwk(member: dict[str, object]) -> VerificationKey:
    kind = member.get("kty")
    public = _PUBLIC_MEMBERS.get(kind) if isinstance(kind, str) else None
    if public is None:
        raise UnusableKeyError("kty must be RSA, EC or OKP")
    if "d" in member:
        raise UnusableKeyError("it is a private key; publish the public members alone")
    operations = member.get("key_ops", ["verify"])
    if member.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("it is not for signatures (use, key_ops)")
    try:
        key = checked_key(PyJWK({"kty": kind, **{name: member[name] for name in public}}).key)
    except (KeyError, PyJWTError):
        raise UnusableKeyError(f"its members {', '.join(public)} do not make a key") from None
    if member.get("alg", key.algorithm) != key.algorithm:
        raise UnusableKeyError(f"its alg is not {key.algorithm}")
    return key


def _kid(member: dict[str, object]) -> str | None:
    if "kid" not in member:
        return None
    kid = member["kid"]
    if isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH:
        return kid
    raise UnusableKeyError(f"its kid must be a string of 1 to {MAX_KID_LENGTH} characters")
