"""The strict form of a token, checked before its signature (RFC 7515, 7519, 8725)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from exhaust.http.strict_json import strict_json
from exhaust.tokens.keys import MAX_KID_LENGTH

MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_NAME_LENGTH: Final = 256
YEAR_10000: Final = 253_402_300_800  # in seconds since 1970

_SEGMENT: Final = "([A-Za-z0-9_-]+)"
_COMPACT_SERIALIZATION: Final = re.compile(rf"{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}")
# These bring or name a key, change how the token is read, or announce a token within the token.
_FORBIDDEN_HEADERS: Final = frozenset({"b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"})


class BadTokenError(Exception):
    """A token is refused. The message is for the log alone and holds no value of the token."""


def _require_printable(text: str) -> str:
    # Control characters, NUL and lone surrogates cannot be stored, or look like another name.
    if text.isprintable():
        return text
    raise PydanticCustomError("not printable", "has characters that cannot be printed")


class _StrictModel(BaseModel):
    # Strict: a string is no number, and true is none either. null is refused even where a member may be absent.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


NumericDate = Annotated[float, Field(ge=0, lt=YEAR_10000, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class Header(_StrictModel):
    """The header members that are read; `kid` is empty when the token has none."""

    alg: Annotated[str, Field(min_length=1, max_length=16)]
    typ: Literal["JWT", "at+jwt"] = "JWT"
    kid: Annotated[str, Field(min_length=1, max_length=MAX_KID_LENGTH)] = ""


class Claims(_StrictModel):
    """The claims that are read; all but `nbf` are mandatory. Dates are seconds since 1970."""

    iss: Name
    sub: Annotated[Name, AfterValidator(_require_printable)]
    aud: Name
    exp: NumericDate
    iat: NumericDate
    nbf: NumericDate = 0.0


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The parts of a token that select the key for its signature. The signature is not verified yet.

    Attributes:
        key_id: empty when the token has none.
    """

    issuer: str
    algorithm: str
    key_id: str


def parse_token(token: str) -> UnverifiedToken:
    """Check the form of a token, and return what selects its key.

    This checks the claims too, so that a malformed token costs no signature check, but does not return them: a caller
    uses the claims that the signature library verified.

    Raises:
        BadTokenError: the token is malformed, or its header has a forbidden member.
        ValidationError: a header member or a claim is missing or malformed.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadTokenError("longer than a token may be")
    segments = _COMPACT_SERIALIZATION.fullmatch(token)
    if segments is None:
        raise BadTokenError("not three parts in base64url")
    header = _parse_object(segments[1], "header")
    payload = _parse_object(segments[2], "payload")
    _decode_base64url(segments[3], "signature")
    if forbidden := _FORBIDDEN_HEADERS & header.keys():
        raise BadTokenError(f"header has {', '.join(sorted(forbidden))}")
    valid_header = Header.model_validate(header)
    claims = Claims.model_validate(payload)
    return UnverifiedToken(claims.iss, valid_header.alg, valid_header.kid)


def _parse_object(segment: str, name: str) -> dict[str, object]:
    try:
        value = strict_json(_decode_base64url(segment, name))
    except ValueError:
        raise BadTokenError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise BadTokenError(f"{name} is not an object")
    return value


def _decode_base64url(segment: str, name: str) -> bytes:
    """Return the bytes of a segment. Each byte string has one spelling: no padding, and no bits left over."""
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise BadTokenError(f"{name} is not base64url") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != segment.encode():
        raise BadTokenError(f"{name} is not base64url")
    return raw
