"""The cookies of the portal: random ids, which no script reads and no other site makes a browser send."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import web

LIFETIME: Final = timedelta(hours=8)
SESSION_NAME: Final = "exhaust-portal"
ATTEMPT_NAME: Final = "exhaust-portal-attempt"  # to sign in at an issuer
ATTEMPT_LIFETIME: Final = timedelta(minutes=10)
# Browsers take a name with this prefix only when it is Secure, of this host alone, and of the path /.
SECURE_PREFIX: Final = "__Host-"


class PortalCookie:
    """Reads and writes a cookie.

    Args:
        proxies: how many trusted proxies stand before the gateway.
        name: of the cookie, without the prefix of secure ones.
        lifetime: of what it holds.
    """

    def __init__(self, proxies: int, name: str = SESSION_NAME, lifetime: timedelta = LIFETIME) -> None:
        self._proxies = proxies
        self._plain_name = name
        self._lifetime = lifetime

    def read(self, request: web.Request) -> str:
        """Return the id that a browser sends; an empty text without one."""
        return request.cookies.get(self._name(request), "")

    def write(self, request: web.Request, response: web.StreamResponse, session_id: str) -> None:
        """Give a browser the id."""
        name = self._name(request)
        response.set_cookie(
            name,
            session_id,
            max_age=int(self._lifetime.total_seconds()),
            path="/",
            secure=name != self._plain_name,
            httponly=True,
            samesite="Strict",
        )

    def clear(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take the id away from a browser."""
        name = self._name(request)
        response.del_cookie(name, path="/", secure=name != self._plain_name, httponly=True, samesite="Strict")

    def scheme(self, request: web.Request) -> str:
        """Return the scheme of the address at which a browser calls; behind a proxy, that is taken for https."""
        return "http" if self._name(request) == self._plain_name else "https"

    def _name(self, request: web.Request) -> str:
        """Return the name of the secure cookie, unless a browser on this machine calls by plain HTTP."""
        by_loopback = not self._proxies and not request.secure and _is_loopback(request.remote or "")
        is_plain = by_loopback and _is_loopback(request.url.host or "")
        return self._plain_name if is_plain else f"{SECURE_PREFIX}{self._plain_name}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
