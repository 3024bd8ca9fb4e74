"""Issuers, attackers and their tokens. Tokens are built byte by byte, since libraries refuse to build most bad ones."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import get_algorithm_by_name
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from pathlib import Path

AUDIENCE = "telemetry-exhaust"
SUBJECT = "partner-7"
ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
SECRET_NAME = "ISSUER_SECRET"
LEEWAY = 30
MAX_LIFETIME = 3600


@dataclass(frozen=True)
class Signer:
    """A private key or a secret, with its algorithm."""

    algorithm: str
    private: Any
    kid: str = ""

    def sign(self, message: bytes) -> bytes:
        return get_algorithm_by_name(self.algorithm).sign(message, self.private)

    @property
    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        match self.algorithm:
            case "RS256":
                members = RSAAlgorithm.to_jwk(public, as_dict=True)
            case "ES256":
                members = ECAlgorithm.to_jwk(public, as_dict=True)
            case _:
                members = OKPAlgorithm.to_jwk(public, as_dict=True)
        return members | ({"kid": self.kid} if self.kid else {})

    @property
    def pem(self) -> bytes:
        return bytes(self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def new_signer(algorithm: str, kid: str = "") -> Signer:
    private: Any
    match algorithm:
        case "RS256":
            private = generate_rsa_key(public_exponent=65537, key_size=2048)
        case "ES256":
            private = generate_ec_key(SECP256R1())
        case "EdDSA":
            private = Ed25519PrivateKey.generate()
        case _:
            private = f"a secret of {kid or 'nobody'} that is long enough".encode()
    return Signer(algorithm, private, kid)


def jwks(*signers: Signer) -> bytes:
    return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()


def encoded(part: object) -> str:
    """Return the base64url of bytes, or of the JSON of anything else."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: object, payload: object, signer: Signer) -> str:
    """Return a token of any header and payload, with a valid signature."""
    signed = f"{encoded(header)}.{encoded(payload)}"
    return f"{signed}.{encoded(signer.sign(signed.encode()))}"


def issuer_name(algorithm: str) -> str:
    return f"https://{algorithm.lower()}.issuer.example"


def good_claims(algorithm: str = "EdDSA", /, **changed: object) -> dict[str, object]:
    now = int(time.time())
    good = {"iss": issuer_name(algorithm), "aud": AUDIENCE, "sub": SUBJECT, "iat": now - 5, "exp": now + 600}
    return good | changed


def without(claims: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in claims.items() if key != name}


@dataclass(frozen=True)
class TokenFactory:
    """Tokens of four trusted issuers, one for each algorithm, and keys of an attacker, one for each algorithm."""

    signers: dict[str, Signer] = field(
        default_factory=lambda: {name: new_signer(name, f"{name}-1") for name in ALGORITHMS}
    )
    attackers: dict[str, Signer] = field(default_factory=lambda: {name: new_signer(name) for name in ALGORITHMS})

    @property
    def environ(self) -> dict[str, str]:
        return {SECRET_NAME: self.signers["HS256"].private.decode()}

    def header(self, algorithm: str = "EdDSA", /, **changed: object) -> dict[str, object]:
        return {"alg": algorithm, "typ": "JWT", "kid": self.signers[algorithm].kid} | changed

    def good(self, algorithm: str = "EdDSA") -> str:
        return token(self.header(algorithm), good_claims(algorithm), self.signers[algorithm])

    def with_claims(self, algorithm: str = "EdDSA", /, **claims: object) -> str:
        """Return a token with a valid signature and other claims."""
        return token(self.header(algorithm), good_claims(algorithm, **claims), self.signers[algorithm])

    def with_header(self, algorithm: str = "EdDSA", /, **header: object) -> str:
        """Return a token with a valid signature and other header members."""
        return token(self.header(algorithm, **header), good_claims(algorithm), self.signers[algorithm])

    def write(self, folder: Path) -> Path:
        """Write the issuers file and its key files: JWKS for RS256 and EdDSA, PEM for ES256, a secret for HS256."""
        (folder / "rsa.json").write_bytes(jwks(self.signers["RS256"]))
        (folder / "ed.json").write_bytes(jwks(self.signers["EdDSA"]))
        (folder / "ec.pem").write_bytes(self.signers["ES256"].pem)
        sources = {
            "RS256": 'jwks_file = "rsa.json"',
            "ES256": 'pem_file = "ec.pem"',
            "EdDSA": 'jwks_file = "ed.json"',
            "HS256": f'secret_env = "{SECRET_NAME}"',
        }
        path = folder / "issuers.toml"
        path.write_text("\n".join(entry(name, source) for name, source in sources.items()))
        return path


def entry(algorithm: str, source: str) -> str:
    """Return an entry of the issuers file."""
    lines = (
        "[[issuer]]",
        f'issuer = "{issuer_name(algorithm)}"',
        f'audience = "{AUDIENCE}"',
        f'algorithms = ["{algorithm}"]',
        f"{source}\n",
    )
    return "\n".join(lines)
