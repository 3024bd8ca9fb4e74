"""The security headers of pages: nothing from elsewhere, and no script or style but files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import web

_OWN_ALONE: Final = ("script-src", "style-src", "img-src", "connect-src", "form-action")
CONTENT_SECURITY_POLICY: Final = "; ".join(
    ["default-src 'none'", *(f"{what} 'self'" for what in _OWN_ALONE), "frame-ancestors 'none'", "base-uri 'none'"]
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # whoever checks where a form comes from needs the address of its page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


async def add_page_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers of an answer, as far as the answer does not set them itself."""
    response.headers["Server"] = "telemetry-exhaust"  # in place of the names and versions of our libraries
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
