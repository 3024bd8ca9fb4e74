"""Keys that tokens are verified with. Each key verifies one algorithm, whatever a token says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import get_algorithm_by_name
from jwt.exceptions import PyJWTError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 256 * 1024
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: as long as the hash
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # verifying takes the square of the length


class UnusableKeyError(Exception):
    """A key, or a set of keys, that must not verify tokens; the message says why, and shows no part of it."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    material: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | bytes = field(repr=False)


def read_key_file(path: Path) -> bytes:
    """What a file of keys holds; no more than tells that it is too large.

    Raises:
        UnusableKeyError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
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
        return checked_key(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("this is not a public key in PEM (BEGIN PUBLIC KEY)") from None


def checked_key(key: object) -> VerificationKey:
    """A public key, when its kind and size are allowed.

    Raises:
        UnusableKeyError: they are not.
    """
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
