"""The frame of all pages: the templates, with the navigation, the addresses and the formats that they use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from exhaust.http.pages.templates import page_environment
from services.console.markdown import to_html
from services.console.settings import OWN_RUNBOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiohttp import web

    from exhaust.http.pages.static_files import StaticFiles
    from services.console.markdown import Html

FOLDER: Final = Path(__file__).with_name("templates")
# htmx asks for a part of a page by this header, which browsers send to other sites only when those agree.
FRAGMENT_HEADER: Final = "HX-Request"


class Frame:
    """The templates of a console that is mounted under a prefix.

    Args:
        static: scripts and styles.
        navigation: the path and the title of each page that has one, in this order.
        prefix: such as /exhaust; / for none.
        runbooks: the start of their address; OWN_RUNBOOKS are the console's own pages.
    """

    def __init__(
        self,
        static: StaticFiles,
        navigation: Iterable[tuple[str, str]],
        *,
        prefix: str = "/",
        runbooks: str = OWN_RUNBOOKS,
    ) -> None:
        self.prefix = prefix.rstrip("/")
        self._runbooks = runbooks
        self._static = static
        self._context: list[Callable[[web.Request], Mapping[str, Any]]] = []
        self._environment = page_environment(FOLDER)
        self._environment.filters |= {"runbook": self._runbook}
        self._environment.globals |= {
            "navigation": tuple(navigation),
            "url": self.url,
            "static": self.static,
            "runbook_url": self.runbook_url,
            "may_act": False,
            "who": "",
            "read_only": "",
            "csrf_field": str,
        }

    def add_context(self, context: Callable[[web.Request], Mapping[str, Any]]) -> None:
        """Let templates see what a function returns for a request, such as who calls and what they may do."""
        self._context.append(context)

    def render(self, request: web.Request, template: str, **values: object) -> str:
        """Render a template: the whole page, or for htmx the part of it that lives."""
        layout = "fragment.html" if FRAGMENT_HEADER in request.headers else "layout.html"
        context: dict[str, Any] = {"layout": layout, "path": request.path.removeprefix(self.prefix), "now": _now()}
        for more in self._context:
            context |= more(request)
        return self._environment.get_template(template).render(context | values)

    def url(self, path: str, *segments: object, **query: object) -> str:
        """Return the address of a page. All links of templates are made by this.

        Args:
            path: of the page, such as /requests.
            segments: what follows, each taken as it is: url("/requests", request.id).
            query: its parameters; those that are None or empty are left out.
        """
        whole = quote(path, safe="/") + "".join(f"/{quote(str(segment), safe='')}" for segment in segments)
        given = {name: str(value) for name, value in query.items() if value is not None and value != ""}
        return f"{self.prefix}{whole}?{urlencode(given)}" if given else f"{self.prefix}{whole}"

    def static(self, name: str) -> str:
        """Return the address of a script or a style."""
        return self.url("/static", self._static.hashed(name))

    def runbook_url(self, name: str) -> str:
        """Return the address of a runbook."""
        if self._runbooks == OWN_RUNBOOKS:
            return self.url("/runbooks", name)
        return f"{self._runbooks}{quote(name, safe='')}.md"

    def _runbook(self, markdown: str) -> Html:
        return to_html(markdown, lambda name: self.url("/runbooks", name))


def _now() -> datetime:
    return datetime.now(UTC)
