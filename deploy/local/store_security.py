"""What keeps others on this machine out of the store's inner servers, which the S3 server alone has to reach.

Calls by HTTP carry a token (JWT), calls by gRPC come with a certificate; both are made for one stack.
"""

import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from deploy.local.folder import write_private

_TOKENS = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")
_FILER_READ = "JWT_FILER_SIGNING_READ_KEY"
_PARTS = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
_VALID_FOR = timedelta(days=3650)
_A_DAY = timedelta(days=1)
_TOKEN_LIFETIME = timedelta(seconds=10)


def store_security(data: Path, secret: str) -> dict[str, str]:
    """Return the variables by which SeaweedFS refuses whoever lacks them.

    Args:
        data: its folder; keeps the certificate, made anew each time.
        secret: of this stack; the keys that sign tokens derive from it.
    """
    certificate, key = data / "grpc.crt", data / "grpc.key"
    _make_certificate(certificate, key)
    parts = {
        f"WEED_GRPC_{part}_{kind}": str(path) for part in _PARTS for kind, path in (("CERT", certificate), ("KEY", key))
    }
    tokens = {f"WEED_{name}": _key(name, secret) for name in _TOKENS}
    return parts | tokens | {"WEED_GRPC_CA": str(certificate)}


def filer_token(secret: str) -> str:
    """Return a token with which the filer can be read for a moment."""
    expires = datetime.now(UTC) + _TOKEN_LIFETIME
    return jwt.encode({"exp": expires}, _key(_FILER_READ, secret), algorithm="HS256")


def _key(name: str, secret: str) -> str:
    return hmac.digest(secret.encode(), name.encode(), "sha256").hex()


def _make_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate that is its own authority: of both ends of a call, it is the only one that counts."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _A_DAY)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, SHA256())
    )
    write_private(certificate, made.public_bytes(Encoding.PEM).decode())
    write_private(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
