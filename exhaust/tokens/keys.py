"""Parsers of the keys that verify tokens. A key verifies one algorithm, whichever one a token names."""

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

MAX_KEY_FILE_BYTES: Final = 256 * 1024  # of a JWKS at a URL too
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: as long as the hash
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # the time of a verification grows with the square of the length
MAX_JWKS_KEYS: Final = 50
MAX_KID_LENGTH: Final = 128


class UnusableKeyError(Exception):
    """A key, or a set of keys, cannot verify tokens. The message says why and holds no part of a key."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the one algorithm that it verifies."""

    algorithm: str
    material: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWKS.

    Attributes:
        by_kid: the keys by key id and algorithm. An empty key id stands for the only key of an algorithm.
        algorithms: the algorithms of the keys.
    """

    by_kid: Mapping[tuple[str, str], VerificationKey] = field(default_factory=dict)
    algorithms: frozenset[str] = frozenset()

    def find(self, kid: str, algorithm: str) -> VerificationKey | None:
        """Return the key that a token names.

        Args:
            kid: the token's key id. Without one (empty), the set must have exactly one key of the algorithm.
            algorithm: the token's algorithm.
        """
        return self.by_kid.get((kid, algorithm))


def read_key_file(path: Path) -> bytes:
    """Return the content of a key file. Of a file that is too large, return one byte more than is allowed.

    Raises:
        UnusableKeyError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise UnusableKeyError(f"it cannot be read: {error.strerror}") from error


def parse_secret(secret: bytes) -> VerificationKey:
    """Return the HS256 key of a secret.

    Raises:
        UnusableKeyError: the secret is shorter than MIN_SECRET_BYTES, or is a public key, which is no secret.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise UnusableKeyError(f"a secret must have at least {MIN_SECRET_BYTES} bytes")
    try:
        get_algorithm_by_name("HS256").prepare_key(secret)
    except PyJWTError:
        raise UnusableKeyError("this is a key of another kind, not a secret") from None
    return VerificationKey("HS256", secret)


def parse_pem_key(pem: bytes) -> VerificationKey:
    """Return the key of a public key in PEM.

    Raises:
        UnusableKeyError: this is no public key, or its type or size is not allowed.
    """
    if b"PRIVATE KEY" in pem:
        raise UnusableKeyError("this holds a private key; give the public key alone")
    try:
        return _verification_key(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("this is not a public key in PEM (BEGIN PUBLIC KEY)") from None


def parse_jwks(raw: bytes) -> KeySet:
    """Return the usable keys of a JSON Web Key Set. Unusable keys beside usable ones are ignored (RFC 7517, 5).

    PyJWKSet does not serve here: some unusable keys make it raise, it builds private keys, and it gives no reasons.

    Raises:
        UnusableKeyError: this is no JWKS, exceeds the limits, has two keys of one key id, or has no usable key.
    """
    keys: list[tuple[str, VerificationKey]] = []
    reasons: list[str] = []
    for number, jwk in enumerate(_parse_jwk_list(raw), start=1):
        try:
            keys.append((_parse_kid(jwk), _parse_jwk(jwk)))
        except UnusableKeyError as error:
            reasons.append(f"key {number}: {error}")
    if not keys:
        raise UnusableKeyError(f"there is no usable key ({'; '.join(reasons) or 'the set is empty'})")
    with_kid = {(kid, key.algorithm): key for kid, key in keys if kid}
    if len(with_kid) < sum(kid != "" for kid, _ in keys):
        raise UnusableKeyError("two keys have the same kid; give each its own")
    key_counts = Counter(key.algorithm for _, key in keys)
    without_kid = {("", key.algorithm): key for _, key in keys if key_counts[key.algorithm] == 1}
    return KeySet(with_kid | without_kid, frozenset(key_counts))


def _parse_jwk_list(raw: bytes) -> list[dict[str, object]]:
    if len(raw) > MAX_KEY_FILE_BYTES:
        raise UnusableKeyError(f"a JWKS must be at most {MAX_KEY_FILE_BYTES} bytes")
    try:
        document = strict_json(raw)
    except ValueError:
        raise UnusableKeyError("this is not JSON with distinct names") from None
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list):
        raise UnusableKeyError('this is not a JWKS: {"keys": [...]}')
    if len(jwks) > MAX_JWKS_KEYS:
        raise UnusableKeyError(f"a JWKS must have at most {MAX_JWKS_KEYS} keys")
    return [jwk if isinstance(jwk, dict) else {} for jwk in jwks]


def _parse_jwk(jwk: dict[str, object]) -> VerificationKey:
    key_type = jwk.get("kty")
    if key_type not in ("RSA", "EC", "OKP"):
        raise UnusableKeyError("kty must be RSA, EC or OKP")
    if "d" in jwk:
        raise UnusableKeyError("it is a private key; publish the public members alone")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("it is not for signatures (use, key_ops)")
    try:
        # PyJWK would trust the key's own alg, so it does not get one: the algorithm follows from the type alone.
        key = _verification_key(PyJWK(jwk | {"alg": None}).key)
    except (PyJWTError, UnsupportedAlgorithm):
        raise UnusableKeyError(f"its members do not make a key of type {key_type}") from None
    if jwk.get("alg", key.algorithm) != key.algorithm:
        raise UnusableKeyError(f"its alg is not {key.algorithm}")
    return key


def _parse_kid(jwk: dict[str, object]) -> str:
    if "kid" not in jwk:
        return ""
    kid = jwk["kid"]
    if isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH:
        return kid
    raise UnusableKeyError(f"its kid must be a string of 1 to {MAX_KID_LENGTH} characters")


def _verification_key(key: object) -> VerificationKey:
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
