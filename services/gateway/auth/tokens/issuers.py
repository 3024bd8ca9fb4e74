"""The issuers whose tokens are accepted, read from a TOML file and checked once, at start."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from exhaust.errors import ConfigurationError
from exhaust.violations import violations_text
from services.gateway.auth.tokens.key_sources import FixedKey, JwksAddress, JwksFile, KeySource
from services.gateway.auth.tokens.keys import (
    UnusableKeyError,
    VerificationKey,
    parse_jwks,
    pem_key,
    read_key_file,
    secret_key,
)
from services.gateway.auth.tokens.unverified import MAX_NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_LIFETIME: Final = timedelta(days=1)
MAX_LEEWAY: Final = timedelta(minutes=5)
_SOURCES: Final = ("jwks_file", "jwks_url", "pem_file", "secret_env")


class TokenIssuersError(ConfigurationError):
    """The file of issuers cannot be used; the message says what, where and what to do, and shows no secret."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer, and which of its tokens are good.

    Attributes:
        name: exactly the `iss` of its tokens.
        audience: exactly the `aud` of its tokens.
        keys: where the keys of its tokens come from.
        max_lifetime: from `iat` to `exp`.
        leeway: how far its clock and ours may be apart.
    """

    name: str
    audience: str
    algorithms: frozenset[str]
    keys: KeySource
    max_lifetime: timedelta
    leeway: timedelta


_Text = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    issuer: _Text
    audience: _Text
    algorithms: Annotated[list[Literal["RS256", "ES256", "EdDSA", "HS256"]], Field(min_length=1)]
    jwks_file: _Text | None = None
    jwks_url: _Text | None = None
    pem_file: _Text | None = None
    secret_env: _Text | None = None
    # Seconds, as in the tokens themselves.
    max_lifetime: Annotated[int, Field(ge=1, le=MAX_LIFETIME.total_seconds())] = 3600
    leeway: Annotated[int, Field(ge=0, le=MAX_LEEWAY.total_seconds())] = 30


class _IssuersFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    issuer: Annotated[list[_Entry], Field(min_length=1)]


def load_issuers(path: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> tuple[Issuer, ...]:
    """Read and check the file of issuers. Keys in files are read, addresses are not called.

    Args:
        path: the TOML file: a table `[[issuer]]` for each. Paths in it are relative to its folder.
        environ: where the secrets of HS256 issuers are.
        clock: seconds, never going back; decides the age of fetched keys.

    Raises:
        TokenIssuersError: the file, an entry or a key cannot be used.
    """
    try:
        file = _IssuersFile.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise TokenIssuersError(
            f"EXHAUST_TOKEN_ISSUERS names {path}, which cannot be read: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise TokenIssuersError(f"{path} does not describe issuers: {violations_text(error)}") from None
    except ValueError as error:
        raise TokenIssuersError(f"{path} is not TOML: {error}") from error
    name, times = Counter(entry.issuer for entry in file.issuer).most_common(1)[0]
    if times > 1:
        raise TokenIssuersError(f"{path}: issuer {name!r} has {times} entries; make them one")
    return tuple(_issuer(entry, path, environ, clock) for entry in file.issuer)


def _issuer(entry: _Entry, path: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> Issuer:
    try:
        return Issuer(
            name=entry.issuer,
            audience=entry.audience,
            algorithms=frozenset(entry.algorithms),
            keys=_keys(entry, path.parent, environ, clock),
            max_lifetime=timedelta(seconds=entry.max_lifetime),
            leeway=timedelta(seconds=entry.leeway),
        )
    except UnusableKeyError as error:
        raise TokenIssuersError(f"{path}: issuer {entry.issuer!r}: {error}") from error


def _source(entry: _Entry) -> str:
    """Which key source it has. A public key must never serve as a secret (RFC 8725, 2.1), so the two never meet."""
    given = [name for name in _SOURCES if getattr(entry, name) is not None]
    if len(given) != 1:
        raise UnusableKeyError(f"give exactly one of {', '.join(_SOURCES)}; it has {', '.join(given) or 'none'}")
    if "HS256" in entry.algorithms and set(entry.algorithms) != {"HS256"}:
        raise UnusableKeyError("HS256 does not go together with other algorithms; make it an issuer of its own")
    if ("HS256" in entry.algorithms) != (given[0] == "secret_env"):
        raise UnusableKeyError(
            f"HS256 and secret_env only go together, so {given[0]} does not fit {entry.algorithms[0]}"
        )
    return given[0]


def _keys(entry: _Entry, folder: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> KeySource:
    source = _source(entry)
    place: str = getattr(entry, source)
    if source == "jwks_url":
        return JwksAddress(_address(place), clock)
    try:
        if source == "jwks_file":
            _check_held(parse_jwks(read_key_file(folder / place)).algorithms, entry)
            return JwksFile(folder / place, clock)
        key = _secret(place, environ) if source == "secret_env" else pem_key(read_key_file(folder / place))
        _check_held(frozenset({key.algorithm}), entry)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"{source} {place!r}: {error}") from error
    return FixedKey(key)


def _secret(variable: str, environ: Mapping[str, str]) -> VerificationKey:
    if variable not in environ:
        raise UnusableKeyError("the variable is not set")
    return secret_key(environ[variable].encode("utf-8", "surrogateescape"))


def _check_held(held: frozenset[str], entry: _Entry) -> None:
    if not held & set(entry.algorithms):
        raise UnusableKeyError(f"its keys verify {', '.join(sorted(held))}, not {', '.join(entry.algorithms)}")


def _address(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        raise UnusableKeyError("jwks_url is not an address") from None
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise UnusableKeyError("jwks_url must start with https:// (http:// only on this machine, such as 127.0.0.1)")
    if not url.host or url.user or url.password or url.fragment:
        raise UnusableKeyError("jwks_url needs a host, and no user, password or fragment")
    return url


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
