"""The issuers file: a TOML file that names the trusted issuers. A process reads and checks it once, at start."""

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
from exhaust.tokens.key_sources import JwksFile, KeySource, RemoteJwks, StaticKey
from exhaust.tokens.keys import (
    UnusableKeyError,
    VerificationKey,
    parse_jwks,
    parse_pem_key,
    parse_secret,
    read_key_file,
)
from exhaust.tokens.parser import MAX_NAME_LENGTH
from exhaust.violations import violations_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_LIFETIME: Final = timedelta(days=1)
MAX_LEEWAY: Final = timedelta(minutes=5)
_SOURCE_FIELDS: Final = ("jwks_file", "jwks_url", "pem_file", "secret_env")


class IssuersFileError(ConfigurationError):
    """The issuers file cannot be used. The message says what is wrong, where, and what to do, and shows no secret."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer, with the conditions for its tokens.

    Attributes:
        name: the exact `iss` of its tokens.
        audience: the exact `aud` of its tokens.
        max_lifetime: the longest time from `iat` to `exp`.
        leeway: the largest difference between its clock and ours.
    """

    name: str
    audience: str
    algorithms: frozenset[str]
    key_source: KeySource
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
    # In seconds, as the dates of a token.
    max_lifetime: Annotated[int, Field(ge=1, le=MAX_LIFETIME.total_seconds())] = 3600
    leeway: Annotated[int, Field(ge=0, le=MAX_LEEWAY.total_seconds())] = 30


class _IssuersFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    issuer: Annotated[list[_Entry], Field(min_length=1)]


def load_issuers(
    path: Path,
    environ: Mapping[str, str],
    clock: Callable[[], float],
    setting: str = "EXHAUST_TOKEN_ISSUERS",
) -> tuple[Issuer, ...]:
    """Read the issuers file and the key files that it names, and check both. This fetches nothing from a URL.

    Args:
        path: the TOML file, with one table `[[issuer]]` for each issuer. Paths in it are relative to its folder.
        environ: the environment variables that hold the secrets of HS256 issuers.
        clock: seconds, never going back; measures the age of cached keys.
        setting: that names the file, for the error.

    Raises:
        IssuersFileError: the file, an entry or a key cannot be used.
    """
    try:
        file = _IssuersFile.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise IssuersFileError(f"{setting} names {path}, which cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise IssuersFileError(f"{path} does not describe issuers: {violations_text(error)}") from None
    except ValueError as error:
        raise IssuersFileError(f"{path} is not TOML: {error}") from error
    name, times = Counter(entry.issuer for entry in file.issuer).most_common(1)[0]
    if times > 1:
        raise IssuersFileError(f"{path}: issuer {name!r} has {times} entries; make them one")
    return tuple(_build_issuer(entry, path, environ, clock) for entry in file.issuer)


def _build_issuer(entry: _Entry, path: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> Issuer:
    try:
        return Issuer(
            name=entry.issuer,
            audience=entry.audience,
            algorithms=frozenset(entry.algorithms),
            key_source=_build_key_source(entry, path.parent, environ, clock),
            max_lifetime=timedelta(seconds=entry.max_lifetime),
            leeway=timedelta(seconds=entry.leeway),
        )
    except UnusableKeyError as error:
        raise IssuersFileError(f"{path}: issuer {entry.issuer!r}: {error}") from error


def _build_key_source(entry: _Entry, folder: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> KeySource:
    field = _source_field(entry)
    value: str = getattr(entry, field)
    if field == "jwks_url":
        return RemoteJwks(_parse_jwks_url(value), clock)
    try:
        if field == "jwks_file":
            _check_algorithms(parse_jwks(read_key_file(folder / value)).algorithms, entry)
            return JwksFile(folder / value, clock)
        key = _read_secret(value, environ) if field == "secret_env" else parse_pem_key(read_key_file(folder / value))
        _check_algorithms(frozenset({key.algorithm}), entry)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"{field} {value!r}: {error}") from error
    return StaticKey(key)


def _source_field(entry: _Entry) -> str:
    """Return the name of the one field that says where the keys are."""
    given = [name for name in _SOURCE_FIELDS if getattr(entry, name) is not None]
    if len(given) != 1:
        raise UnusableKeyError(f"give exactly one of {', '.join(_SOURCE_FIELDS)}; it has {', '.join(given) or 'none'}")
    # An issuer with both kinds of keys would accept a public key as a secret (RFC 8725, 2.1).
    if "HS256" in entry.algorithms and set(entry.algorithms) != {"HS256"}:
        raise UnusableKeyError("HS256 does not go together with other algorithms; make it an issuer of its own")
    if ("HS256" in entry.algorithms) != (given[0] == "secret_env"):
        raise UnusableKeyError(
            f"HS256 and secret_env only go together, so {given[0]} does not fit {entry.algorithms[0]}"
        )
    return given[0]


def _read_secret(variable: str, environ: Mapping[str, str]) -> VerificationKey:
    if variable not in environ:
        raise UnusableKeyError("the variable is not set")
    return parse_secret(environ[variable].encode("utf-8", "surrogateescape"))


def _check_algorithms(of_keys: frozenset[str], entry: _Entry) -> None:
    if not of_keys & set(entry.algorithms):
        raise UnusableKeyError(f"its keys verify {', '.join(sorted(of_keys))}, not {', '.join(entry.algorithms)}")


def _parse_jwks_url(text: str) -> URL:
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
