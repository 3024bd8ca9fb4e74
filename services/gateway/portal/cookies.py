"""The cookie of the portal: a random id, which no script reads and no other site makes a browser send."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import web

LIFETIME: Final = timedelta(hours=8)
# Browsers take a name with this prefix only when it is Secure, of this host alone, and of the path /.
SECURE_NAME: Final = "__Host-exhaust-portal"
PLAIN_NAME: Final = "exhaust-portal"


class SessionCookie:
    """Reads and writes the cookie.

    Args:
        proxies: how many trusted proxies stand before the gateway.
    """

    def __init__(self, proxies: int) -> None:
        self._proxies = proxies

    def read(self, request: web.Request) -> str:
        """Return the id that a browser sends; an empty text without one."""
        return request.cookies.get(self._name(request), "")

    def write(self, request: web.Request, response: web.StreamResponse, session_id: str) -> None:
        """Give a browser the id for the time of a session."""
        name = self._name(request)
        response.set_cookie(
            name,
            session_id,
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=name == SECURE_NAME,
            httponly=True,
            samesite="Strict",
        )

    def clear(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take the id away from a browser."""
        name = self._name(request)
        response.del_cookie(name, path="/", secure=name == SECURE_NAME, httponly=True, samesite="Strict")

    def scheme(self, request: web.Request) -> str:
        """Return the scheme of the address at which a browser calls; behind a proxy, that is taken for https."""
        return "http" if self._name(request) == PLAIN_NAME else "https"

    def _name(self, request: web.Request) -> str:
        """Return the name of the secure cookie, unless a browser on this machine calls by plain HTTP."""
        by_loopback = not self._proxies and not request.secure and _is_loopback(request.remote or "")
        return PLAIN_NAME if by_loopback and _is_loopback(request.url.host or "") else SECURE_NAME


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
