"""The frame of the portal's pages: their templates, their addresses, and the answers that hold them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from exhaust.http.pages.static_files import StaticFiles
from exhaust.http.pages.templates import page_environment
from exhaust.postgres.portal_sessions import PortalSession

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "/portal"
SIGN_IN: Final = "/sign-in"
ISSUER: Final = "/issuer"  # below it
CALLBACK: Final = "/callback"  # below it
TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
FRAGMENT_HEADER: Final = "HX-Request"  # of htmx, which asks for the living part of a page
SESSION: Final = web.RequestKey("portal_session", PortalSession)


class Frame:
    """Renders pages."""

    def __init__(self) -> None:
        self.static = StaticFiles(STATIC)
        self._environment = page_environment(TEMPLATES)
        self._environment.globals |= {"url": url, "static": self._static}

    def page(
        self,
        request: web.Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> web.Response:
        """Answer with a page: the whole, or for htmx the part of it that lives."""
        session = request.get(SESSION)
        context: dict[str, object] = {
            "layout": "fragment.html" if FRAGMENT_HEADER in request.headers else "layout.html",
            "path": request.path.removeprefix(PREFIX),
            "now": datetime.now(UTC),
            "client": session.client if session else None,
            "csrf_token": session.csrf_token if session else "",
        }
        text = self._environment.get_template(template).render(context | values)
        vary = {"Vary": f"Cookie, {FRAGMENT_HEADER}"}
        return web.Response(text=text, status=status, content_type="text/html", headers=vary | dict(headers or {}))

    def _static(self, name: str) -> str:
        return url("/static", self.static.hashed(name))


def url(path: str, *segments: object, **query: object) -> str:
    """Return the address of a page of the portal.

    Args:
        path: of the page, such as /requests.
        segments: what follows, each taken as it is.
        query: its parameters; those that are None or empty are left out.
    """
    whole = quote(path, safe="/") + "".join(f"/{quote(str(segment), safe='')}" for segment in segments)
    given = {name.rstrip("_"): str(value) for name, value in query.items() if value is not None and value != ""}
    return f"{PREFIX}{whole}?{urlencode(given)}" if given else f"{PREFIX}{whole}"


def see_other(path: str, *segments: object, **query: object) -> web.Response:
    """Send a browser to a page of the portal, as after a form."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url(path, *segments, **query)})
