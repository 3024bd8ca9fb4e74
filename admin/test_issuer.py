"""An issuer of tokens for local use: a key pair in a folder, and tokens signed with it. Never for a public gateway."""

from __future__ import annotations

import json
import os
import secrets
import time
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import jwt
import typer
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from admin.tables import AS_JSON, print_json, tell

if TYPE_CHECKING:
    from jwt.types import JWKDict

HS256_VARIABLE: Final = "EXHAUST_TEST_ISSUER_SECRET"
DEFAULT_FOLDER: Final = Path(".local/test-issuer")
PRIVATE_KEY: Final = "private.pem"
HS256_KEY: Final = "hs256.key"
JWKS: Final = "jwks.json"
ISSUERS: Final = "issuers.toml"
# The members that an RFC 7638 thumbprint covers, by type of key.
_THUMBPRINT_MEMBERS: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


class Algorithm(StrEnum):
    """A signature algorithm of the tokens."""

    ED25519 = "EdDSA"
    RS256 = "RS256"
    ES256 = "ES256"
    HS256 = "HS256"


class IssuerFolderError(Exception):
    """An issuer's folder that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class LocalIssuer:
    """A folder with an issuer in it.

    Attributes:
        folder: holds the key, `jwks.json` (not for HS256) and `issuers.toml`, for their owner's eyes only.
        issuer: the `iss` of its tokens.
        audience: their `aud`.
    """

    folder: Path
    issuer: str
    audience: str
    algorithm: Algorithm

    @property
    def issuers_file(self) -> Path:
        """The file for the gateway's setting EXHAUST_TOKEN_ISSUERS."""
        return self.folder / ISSUERS

    @property
    def environment(self) -> dict[str, str]:
        """The gateway's variables that make it accept the tokens; they hold the secret of an HS256 issuer."""
        named = {"EXHAUST_TOKEN_ISSUERS": str(self.issuers_file)}
        if self.algorithm is Algorithm.HS256:
            named[HS256_VARIABLE] = (self.folder / HS256_KEY).read_text()
        return named


def make_issuer(
    folder: Path,
    algorithm: Algorithm = Algorithm.ED25519,
    *,
    issuer: str = "https://issuer.test",
    audience: str = "telemetry-exhaust",
) -> LocalIssuer:
    """Make a key and write everything that the gateway needs to accept tokens signed with it.

    Raises:
        IssuerFolderError: the folder already holds an issuer.
    """
    if (folder / ISSUERS).exists():
        raise IssuerFolderError(f"{folder} already holds an issuer; mint from it, or name another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = LocalIssuer(folder, issuer, audience, algorithm)
    _write_keys(made)
    source = f'secret_env = "{HS256_VARIABLE}"' if algorithm is Algorithm.HS256 else f'jwks_file = "{JWKS}"'
    # A JSON string is a TOML string as well.
    lines = (
        "[[issuer]]",
        f"issuer = {json.dumps(issuer)}",
        f"audience = {json.dumps(audience)}",
        f'algorithms = ["{algorithm}"]',
        source,
    )
    _write(folder / ISSUERS, "\n".join(lines) + "\n")
    return made


def open_issuer(folder: Path) -> LocalIssuer:
    """Return the issuer that make_issuer put into the folder.

    Raises:
        IssuerFolderError: there is none.
    """
    try:
        entry = tomllib.loads((folder / ISSUERS).read_text())["issuer"][0]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise IssuerFolderError(f"{folder} holds no issuer; make one first") from error
    return LocalIssuer(folder, entry["issuer"], entry["audience"], Algorithm(entry["algorithms"][0]))


def mint_token(local: LocalIssuer, subject: str, lifetime: timedelta = timedelta(minutes=10)) -> str:
    """Return a token whose bearer is `subject`, valid from now on."""
    now = int(time.time())
    claims = {
        "iss": local.issuer,
        "aud": local.audience,
        "sub": subject,
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
        "jti": secrets.token_hex(16),
    }
    if local.algorithm is Algorithm.HS256:
        return jwt.encode(claims, (local.folder / HS256_KEY).read_text(), local.algorithm)
    kid = json.loads((local.folder / JWKS).read_text())["keys"][0]["kid"]
    return jwt.encode(claims, (local.folder / PRIVATE_KEY).read_text(), local.algorithm, headers={"kid": kid})


def _write_keys(local: LocalIssuer) -> None:
    if local.algorithm is Algorithm.HS256:
        _write(local.folder / HS256_KEY, secrets.token_urlsafe(32))
        return
    private = _private_key(local.algorithm)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(local.folder / PRIVATE_KEY, pem.decode())
    _write(local.folder / JWKS, json.dumps({"keys": [_public_jwk(private, local.algorithm)]}, indent=2) + "\n")


def _private_key(algorithm: Algorithm) -> RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey:
    match algorithm:
        case Algorithm.RS256:
            return generate_rsa_key(public_exponent=65537, key_size=2048)
        case Algorithm.ES256:
            return generate_ec_key(SECP256R1())
    return Ed25519PrivateKey.generate()


def _public_jwk(private: RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey, algorithm: Algorithm) -> JWKDict:
    match private:
        case RSAPrivateKey():
            jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    digest = sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return {**members, "use": "sig", "alg": str(algorithm), "kid": base64url_encode(digest).decode()}


def _write(path: Path, text: str) -> None:
    """Write a new file that only its owner may read, from the first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)


app = typer.Typer(help="Make tokens for local use.", no_args_is_help=True)


@app.command()
def make(
    *,
    folder: Annotated[Path, typer.Option(help="Where the issuer's files go.")] = DEFAULT_FOLDER,
    algorithm: Annotated[Algorithm, typer.Option(case_sensitive=False, help="How it signs.")] = Algorithm.ED25519,
    issuer: Annotated[str, typer.Option(help="The iss of its tokens.")] = "https://issuer.test",
    audience: Annotated[str, typer.Option(help="The aud of its tokens.")] = "telemetry-exhaust",
) -> None:
    """Make a key pair, and the file of issuers that lets a gateway accept its tokens."""
    try:
        made = make_issuer(folder, algorithm, issuer=issuer, audience=audience)
    except IssuerFolderError as error:
        raise typer.BadParameter(str(error)) from None
    if AS_JSON.get():
        print_json({"issuer": made.issuer, "algorithm": made.algorithm, "environment": made.environment})
        return
    typer.echo(f"{made.issuer} signs with {made.algorithm}. Start the gateway with:")
    typer.echo(f"export EXHAUST_TOKEN_ISSUERS='{made.issuers_file.resolve()}'")
    if made.algorithm is Algorithm.HS256:
        typer.echo(f"export {HS256_VARIABLE}=\"$(cat '{(folder / HS256_KEY).resolve()}')\"")


@app.command()
def mint(
    *,
    folder: Annotated[Path, typer.Option(help="Where the issuer's files are.")] = DEFAULT_FOLDER,
    subject: Annotated[str, typer.Option(help="Whose token it is.")],
    lifetime: Annotated[int, typer.Option(min=1, help="Seconds; gateways accept up to 3600.")] = 600,
) -> None:
    """Print a token for a subject."""
    try:
        token = mint_token(open_issuer(folder), subject, timedelta(seconds=lifetime))
    except IssuerFolderError as error:
        raise typer.BadParameter(str(error)) from None
    tell(token, {"token": token})
