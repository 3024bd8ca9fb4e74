"""A token taken apart and checked for its form, before anything in it is believed (RFC 7515, 7519, 8725)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from exhaust.http.strict_json import strict_json
from services.gateway.auth.tokens.keys import MAX_KID_LENGTH

MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_NAME_LENGTH: Final = 256
END_OF_TIME: Final = 253_402_300_800  # seconds to the year 10000

_PART: Final = "([A-Za-z0-9_-]+)"
_COMPACT: Final = re.compile(rf"{_PART}\.{_PART}\.{_PART}")
# A header that brings or names its own key, changes how the token is read, or holds another token.
_FORBIDDEN: Final = frozenset({"b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"})


class BadTokenError(Exception):
    """A token is refused. The reason is for the log: it names no value of the token, and no caller sees it."""


def _printable(text: str) -> str:
    """Refuse controls, NUL and what is no character; such names can neither be stored nor told apart by eye."""
    if text.isprintable():
        return text
    raise PydanticCustomError("not printable", "has characters that cannot be printed")


class _Strict(BaseModel):
    # strict: "5" is not 5, and true is no number. A default is not None, so null is refused too.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


NumericDate = Annotated[float, Field(ge=0, lt=END_OF_TIME, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class Header(_Strict):
    """What is read of the header; `kid` is empty when there is none."""

    alg: Annotated[str, Field(min_length=1, max_length=16)]
    typ: Literal["JWT", "at+jwt"] = "JWT"
    kid: Annotated[str, Field(min_length=1, max_length=MAX_KID_LENGTH)] = ""


class Claims(_Strict):
    """The claims that a token must have, and `nbf`; dates in seconds since 1970."""

    iss: Name
    sub: Annotated[Name, AfterValidator(_printable)]
    aud: Name
    exp: NumericDate
    iat: NumericDate
    nbf: NumericDate = 0.0


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The parts of a token that pick the key for its signature. Nobody has checked that signature yet.

    Attributes:
        key_id: empty when the token has none.
    """

    issuer: str
    algorithm: str
    key_id: str


def take_apart(token: str) -> UnverifiedToken:
    """Check the form of a token, and return what picks its key.

    The claims are checked too, so that no signature is computed for nothing, and then forgotten: those that count are
    the ones that come with a good signature.

    Raises:
        BadTokenError: it is not well formed, or it uses what is not allowed here.
        ValidationError: the same of a single member.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadTokenError("longer than a token may be")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise BadTokenError("not three parts in base64url")
    header = _object(parts[1], "header")
    payload = _object(parts[2], "payload")
    _base64url(parts[3], "signature")
    if forbidden := _FORBIDDEN & header.keys():
        raise BadTokenError(f"header has {', '.join(sorted(forbidden))}")
    read = Header.model_validate(header)
    return UnverifiedToken(Claims.model_validate(payload).iss, read.alg, read.kid)


def _object(part: str, name: str) -> dict[str, object]:
    try:
        value = strict_json(_base64url(part, name))
    except ValueError:
        raise BadTokenError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise BadTokenError(f"{name} is not an object")
    return value


def _base64url(part: str, name: str) -> bytes:
    """The bytes, when this is the one way to write them: without padding, and with no bits left over."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise BadTokenError(f"{name} is not base64url") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise BadTokenError(f"{name} is not base64url")
    return raw
