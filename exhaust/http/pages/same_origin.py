"""The check that a form comes from a page of ours: browsers tell the origin of a form, and no page can change that."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from aiohttp import web


def check_origin(request: web.BaseRequest) -> None:
    """Check that no page of another site makes a browser send this.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        same = site == "same-origin"
    else:
        same = origin is None or _place(origin) == request.headers.get("Host", "").lower()
    if not same:
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "the page of another site may not send this")


def _place(origin: str) -> str:
    """Return host and port of an origin; what is none, such as `null`, equals no host."""
    try:
        return urlsplit(origin).netloc.lower() or "?"
    except ValueError:
        return "?"
