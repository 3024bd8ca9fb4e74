import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from yarl import URL

from exhaust.tokens.issuers import Issuer, IssuersFileError, load_issuers
from exhaust.tokens.key_sources import JwksFile, RemoteJwks, StaticKey
from tests.integration.gateway_tokens.token_factory import SECRET_NAME, Signer, TokenFactory, entry, issuer_name, jwks

WEAK_RSA_BITS = 1024
SECRET = "a secret that is long enough for HS256"
HTTPS = 'jwks_url = "https://issuer.example/jwks.json"'


@pytest.fixture(scope="module")
def folder(factory: TokenFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write good and bad key files."""
    made = tmp_path_factory.mktemp("keys")
    factory.write(made)
    weak = Signer("RS256", generate_private_key(public_exponent=65537, key_size=WEAK_RSA_BITS))
    private = factory.signers["ES256"].private
    files = {
        "rsa.pem": factory.signers["RS256"].pem,
        "ed.pem": factory.signers["EdDSA"].pem,
        "weak.pem": weak.pem,
        "weak.json": jwks(weak),
        "p384.pem": Signer("ES384", generate_ec_key(SECP384R1())).pem,
        "ed448.pem": Signer("EdDSA", Ed448PrivateKey.generate()).pem,
        "private.pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "junk": b"junk",
        "none.json": b'{"keys": []}',
    }
    for name, content in files.items():
        (made / name).write_bytes(content)
    return made


def loaded(path: Path, environ: Mapping[str, str]) -> tuple[Issuer, ...]:
    return load_issuers(path, environ, time.monotonic)


def test_an_entry_becomes_an_issuer_with_a_key_source(factory: TokenFactory, folder: Path) -> None:
    issuers = {issuer.name: issuer for issuer in loaded(folder / "issuers.toml", factory.environ)}
    keys = {name: issuers[issuer_name(name)].key_source for name in ("RS256", "ES256", "EdDSA", "HS256")}
    for algorithm, file in (("RS256", "rsa.json"), ("EdDSA", "ed.json")):
        source = keys[algorithm]
        assert isinstance(source, JwksFile)
        assert source.path == folder / file
    for algorithm in ("ES256", "HS256"):
        source = keys[algorithm]
        assert isinstance(source, StaticKey)
        assert source.key.algorithm == algorithm
    issuer = issuers[issuer_name("RS256")]
    assert issuer.algorithms == {"RS256"}
    assert (issuer.max_lifetime, issuer.leeway) == (timedelta(hours=1), timedelta(seconds=30))


def test_no_repr_shows_a_secret(factory: TokenFactory, folder: Path) -> None:
    secret = factory.environ[SECRET_NAME]
    issuers = loaded(folder / "issuers.toml", factory.environ)
    assert secret not in repr([issuers, *(vars(issuer.key_source) for issuer in issuers)])


@pytest.mark.parametrize(
    "address",
    [
        "https://issuer.example/jwks.json",
        "https://issuer.example:8443/a?b=c",
        "http://127.0.0.1:8080/jwks.json",
        "http://localhost/jwks.json",
        "http://[::1]/jwks.json",
    ],
)
def test_a_jwks_url_is_https_or_loopback(address: str, tmp_path: Path) -> None:
    (issuer,) = written(tmp_path, entry("RS256", f'jwks_url = "{address}"'))
    assert isinstance(issuer.key_source, RemoteJwks)
    assert issuer.key_source.url == URL(address)


def written(folder: Path, text: str) -> tuple[Issuer, ...]:
    """Load the issuers of a file with this text."""
    (folder / "my.toml").write_text(text)
    return loaded(folder / "my.toml", {SECRET_NAME: SECRET, "SHORT": "s" * 31})


def changed(algorithm: str, source: str, old: str, new: str) -> str:
    return entry(algorithm, source).replace(old, new)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[issuer", "not TOML"),
        ("", "issuer: Field required"),
        ("issuer = []", "at least 1 item"),
        (entry("RS256", HTTPS) * 2, "has 2 entries; make them one"),
        (entry("RS256", ""), "exactly one of jwks_file, jwks_url, pem_file, secret_env; it has none"),
        (entry("RS256", f'{HTTPS}\npem_file = "rsa.pem"'), "exactly one of .* it has jwks_url, pem_file"),
        (changed("RS256", HTTPS, 'audience = "telemetry-exhaust"', ""), "issuer/0/audience: Field required"),
        (changed("RS256", HTTPS, '"telemetry-exhaust"', '["telemetry-exhaust"]'), "issuer/0/audience"),
        (changed("RS256", HTTPS, '"telemetry-exhaust"', '""'), "issuer/0/audience"),
        (changed("RS256", HTTPS, issuer_name("RS256"), ""), "issuer/0/issuer"),
        (changed("RS256", HTTPS, '["RS256"]', "[]"), "issuer/0/algorithms"),
        (changed("RS256", HTTPS, '["RS256"]', '["none"]'), "issuer/0/algorithms/0"),
        (changed("RS256", HTTPS, '["RS256"]', '["PS256"]'), "issuer/0/algorithms/0"),
        (
            changed("RS256", HTTPS, '["RS256"]', '["RS256", "HS256"]'),
            "HS256 does not go together with other algorithms",
        ),
        (entry("HS256", HTTPS), "jwks_url does not fit HS256"),
        (entry("HS256", 'pem_file = "rsa.pem"'), "pem_file does not fit HS256"),
        (entry("HS256", 'jwks_file = "rsa.json"'), "jwks_file does not fit HS256"),
        (entry("RS256", f'secret_env = "{SECRET_NAME}"'), "secret_env does not fit RS256"),
        (entry("HS256", 'secret_env = "SHORT"'), "secret_env 'SHORT': a secret must have at least 32 bytes"),
        (entry("HS256", 'secret_env = "ABSENT"'), "secret_env 'ABSENT': the variable is not set"),
        (entry("RS256", 'pem_file = "weak.pem"'), "pem_file 'weak.pem': an RSA key must have 2048 to 8192 bits"),
        (entry("RS256", 'jwks_file = "weak.json"'), "key 1: an RSA key must have 2048 to 8192 bits"),
        (entry("ES256", 'pem_file = "p384.pem"'), "only RSA, EC on P-256 and Ed25519"),
        (entry("EdDSA", 'pem_file = "ed448.pem"'), "only RSA, EC on P-256 and Ed25519"),
        (entry("ES256", 'pem_file = "private.pem"'), "private key; give the public key alone"),
        (entry("ES256", 'pem_file = "junk"'), "not a public key in PEM"),
        (entry("ES256", 'pem_file = "rsa.pem"'), "its keys verify RS256, not ES256"),
        (entry("ES256", 'jwks_file = "ed.json"'), "its keys verify EdDSA, not ES256"),
        (entry("ES256", 'jwks_file = "junk"'), "jwks_file 'junk': this is not JSON"),
        (entry("ES256", 'jwks_file = "none.json"'), "there is no usable key"),
        (entry("ES256", 'jwks_file = "absent.json"'), "jwks_file 'absent.json': it cannot be read: No such file"),
        (entry("ES256", 'pem_file = "."'), "cannot be read: Is a directory"),
        (entry("RS256", 'jwks_url = "http://issuer.example/jwks.json"'), "must start with https"),
        (entry("RS256", 'jwks_url = "http://127.0.0.1.example/"'), "must start with https"),
        (entry("RS256", 'jwks_url = "http://10.0.0.1/"'), "must start with https"),
        (entry("RS256", 'jwks_url = "file:///etc/passwd"'), "must start with https"),
        (entry("RS256", 'jwks_url = "jwks.json"'), "must start with https"),
        (entry("RS256", 'jwks_url = "https://"'), "needs a host"),
        (entry("RS256", 'jwks_url = "https://me:word@issuer.example/"'), "no user, password or fragment"),
        (entry("RS256", 'jwks_url = "https://me@issuer.example/"'), "no user, password or fragment"),
        (entry("RS256", 'jwks_url = "https://issuer.example/#a"'), "no user, password or fragment"),
        (entry("RS256", 'jwks_url = "https://issuer.example:port/"'), "jwks_url is not an address"),
        (entry("RS256", f"{HTTPS}\nmax_lifetime = 86401"), "issuer/0/max_lifetime"),
        (entry("RS256", f"{HTTPS}\nmax_lifetime = 0"), "issuer/0/max_lifetime"),
        (entry("RS256", f'{HTTPS}\nmax_lifetime = "60"'), "issuer/0/max_lifetime"),
        (entry("RS256", f"{HTTPS}\nleeway = -1"), "issuer/0/leeway"),
        (entry("RS256", f"{HTTPS}\nleeway = 301"), "issuer/0/leeway"),
        (entry("RS256", f"{HTTPS}\ncolour = 1"), "issuer/0/colour"),
    ],
)
def test_an_invalid_file_is_refused_with_the_reason(text: str, complaint: str, folder: Path) -> None:
    with pytest.raises(IssuersFileError, match=complaint) as refused:
        written(folder, text)
    assert str(folder / "my.toml") in str(refused.value)
    assert not {SECRET, "s" * 31, "me:word"} & set(str(refused.value).split())


@pytest.mark.parametrize("name", ["rsa.pem", "rsa.json", "ed.pem"])
def test_a_public_key_is_refused_as_a_secret(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(entry("HS256", f'secret_env = "{SECRET_NAME}"'))
    with pytest.raises(IssuersFileError, match="a key of another kind, not a secret"):
        loaded(tmp_path / "my.toml", {SECRET_NAME: (folder / name).read_text()})


def test_the_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IssuersFileError, match=r"EXHAUST_TOKEN_ISSUERS names .*nowhere\.toml, which cannot be read"):
        loaded(tmp_path / "nowhere.toml", {})
