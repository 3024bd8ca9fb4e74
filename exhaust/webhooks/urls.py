"""The URLs of webhooks: https, without credentials, on a port where a receiver may listen."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError

MAX_URL_LENGTH: Final = 2048
_USUAL_PORTS: Final = {"https": 443, "http": 80}
_FIRST_FREE_PORT: Final = 1024  # below are the ports of other protocols, which nobody may speak to through us
_MAX_HOST_LENGTH: Final = 253
_AUTHORITY_END: Final = re.compile("[/?#]")


def parse_webhook_url(text: str, *, allow_http: bool) -> URL:
    """Parse the URL of a webhook as the client that calls it reads it.

    Args:
        text: as its owner wrote it.
        allow_http: accept http too.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; it says what is wrong, and does not repeat the URL.
    """
    if len(text) > MAX_URL_LENGTH or not text.isascii() or not text.isprintable() or {" ", "\\"} & set(text):
        raise _refused(f"must have at most {MAX_URL_LENGTH} characters: printable ASCII, no space, no backslash")
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except ValueError as error:
        raise _refused("is no URL") from error
    if url.scheme not in ({"https", "http"} if allow_http else {"https"}):
        raise _refused("must begin with https://")
    if "@" in _AUTHORITY_END.split(text.partition("://")[2], maxsplit=1)[0]:
        raise _refused("must hold no user and no password")
    if url.raw_fragment or "#" in text:
        raise _refused("must have no fragment")
    if not host or len(host) > _MAX_HOST_LENGTH or "%" in host:
        raise _refused("must name a host")
    if port is None or not (port == _USUAL_PORTS[url.scheme] or port >= _FIRST_FREE_PORT):
        raise _refused("must have no port, its usual one, or one from 1024 on")
    return url


def refused_host() -> ExhaustError:
    """Build the one error for a host that does not exist or must not be called: nobody learns our names by it."""
    return _refused("must name a host that has public addresses alone")


def _refused(what: str) -> ExhaustError:
    pointer = "/request/url"
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/url {what}", violations=[(pointer, what)])
