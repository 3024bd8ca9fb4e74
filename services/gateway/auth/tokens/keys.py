"""Keys that tokens are verified with. Each key verifies one algorithm, whatever a token says of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, get_algorithm_by_name
from jwt.exceptions import PyJWTError

from exhaust.http.strict_json import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_KEYS_BYTES: Final = 256 * 1024  # of a file of keys, and of a JWKS at an address
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: as long as the hash
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # verifying takes the square of the length
MAX_JWKS_KEYS: Final = 50
MAX_KID_LENGTH: Final = 128


class UnusableKeyError(Exception):
    """A key, or a set of keys, that must not verify tokens; the message says why, and shows no part of it."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    material: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a JWKS.

    Attributes:
        by_name: by key id and algorithm. Without a key id stands the one key of an algorithm that has no other.
        algorithms: what the keys verify.
    """

    by_name: Mapping[tuple[str, str], VerificationKey] = field(default_factory=dict)
    algorithms: frozenset[str] = frozenset()

    def find(self, kid: str, algorithm: str) -> VerificationKey | None:
        """The key that a token means.

        Args:
            kid: the token's key id; empty when it has none: then the algorithm must leave one choice.
            algorithm: the token's.
        """
        return self.by_name.get((kid, algorithm))


def read_key_file(path: Path) -> bytes:
    """What a file of keys holds; no more than tells that it is too large.

    Raises:
        UnusableKeyError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEYS_BYTES + 1)
    except OSError as error:
        raise UnusableKeyError(f"it cannot be read: {error.strerror}") from error


def secret_key(secret: bytes) -> VerificationKey:
    """An HS256 key.

    Raises:
        UnusableKeyError: shorter than MIN_SECRET_BYTES, or really a public key, which everybody knows.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise UnusableKeyError(f"a secret must have at least {MIN_SECRET_BYTES} bytes")
    try:
        get_algorithm_by_name("HS256").prepare_key(secret)
    except PyJWTError:
        raise UnusableKeyError("this is a key of another kind, not a secret") from None
    return VerificationKey("HS256", secret)


def pem_key(pem: bytes) -> VerificationKey:
    """A public key in PEM.

    Raises:
        UnusableKeyError: not a public key, or not of a kind and size that is allowed.
    """
    if b"PRIVATE KEY" in pem:
        raise UnusableKeyError("this holds a private key; give the public key alone")
    try:
        return _checked(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("this is not a public key in PEM (BEGIN PUBLIC KEY)") from None


def _checked(key: object) -> VerificationKey:
    match key:
        case RSAPublicKey(key_size=bits) if MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            return VerificationKey("RS256", key)
        case RSAPublicKey():
            raise UnusableKeyError(f"an RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return VerificationKey("ES256", key)
        case Ed25519PublicKey():
            return VerificationKey("EdDSA", key)
    raise UnusableKeyError("only RSA, EC on P-256 and Ed25519 are allowed")


def parse_jwks(raw: bytes) -> KeySet:
    """The usable keys of a JSON Web Key Set; others in it are passed over (RFC 7517, 5).

    PyJWKSet is not used: it raises on some unusable keys, makes private ones, and forgets why it passed a key over.

    Raises:
        UnusableKeyError: not a JWKS, over the limits, two keys of one name, or no usable key.
    """
    keys: list[tuple[str, VerificationKey]] = []
    refusals: list[str] = []
    for number, member in enumerate(_members(raw), start=1):
        try:
            keys.append((_kid(member), _jwk(member)))
        except UnusableKeyError as error:
            refusals.append(f"key {number}: {error}")
    if not keys:
        raise UnusableKeyError(f"there is no usable key ({'; '.join(refusals) or 'the set is empty'})")
    by_name = {(kid, key.algorithm): key for kid, key in keys if kid}
    if len(by_name) < sum(kid != "" for kid, _ in keys):
        raise UnusableKeyError("two keys have the same kid; give each its own")
    times = Counter(key.algorithm for _, key in keys)
    alone = {("", key.algorithm): key for _, key in keys if times[key.algorithm] == 1}
    return KeySet(by_name | alone, frozenset(times))


def _members(raw: bytes) -> list[dict[str, object]]:
    if len(raw) > MAX_KEYS_BYTES:
        raise UnusableKeyError(f"a JWKS must be at most {MAX_KEYS_BYTES} bytes")
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
    if kind not in ("RSA", "EC", "OKP"):
        raise UnusableKeyError("kty must be RSA, EC or OKP")
    if "d" in member:
        raise UnusableKeyError("it is a private key; publish the public members alone")
    operations = member.get("key_ops", ["verify"])
    if member.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("it is not for signatures (use, key_ops)")
    try:
        # Without its alg, which PyJWK would believe: a key's kind alone says what it verifies.
        key = _checked(PyJWK(member | {"alg": None}).key)
    except (PyJWTError, UnsupportedAlgorithm):
        raise UnusableKeyError(f"its members do not make a key of type {kind}") from None
    if member.get("alg", key.algorithm) != key.algorithm:
        raise UnusableKeyError(f"its alg is not {key.algorithm}")
    return key


def _kid(member: dict[str, object]) -> str:
    """The key's id; empty when it has none."""
    if "kid" not in member:
        return ""
    kid = member["kid"]
    if isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH:
        return kid
    raise UnusableKeyError(f"its kid must be a string of 1 to {MAX_KID_LENGTH} characters")
