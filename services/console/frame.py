"""The frame of all pages: the templates, with the navigation, the addresses and the formats that they use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ByteSize

from exhaust.lag.sentences import shown
from services.console.markdown import to_html
from services.console.settings import OWN_RUNBOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiohttp import web

    from services.console.markdown import Html
    from services.console.static_files import StaticFiles

FOLDER: Final = Path(__file__).with_name("templates")
ABSENT: Final = "\N{EN DASH}"
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
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "duration": duration,
            "number": number,
            "size": size,
            "moment": moment,
            "exact": exact,
            "runbook": self._runbook,
        }
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


def duration(seconds: float | None) -> str:
    """Return a duration as people say it."""
    return ABSENT if seconds is None else shown(timedelta(seconds=seconds))


def number(value: float | None) -> str:
    """Return a number with its thousands marked."""
    return ABSENT if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Return a number of bytes as people read it."""
    return ABSENT if value is None else ByteSize(value).human_readable(separator=" ")


def moment(written: str | datetime | None) -> str:
    """Return a time of day in UTC, with its date unless that is today."""
    at = _parsed(written)
    if at is None:
        return ABSENT
    return f"{at:%H:%M:%S}" if at.date() == _now().date() else f"{at:%Y-%m-%d %H:%M:%S}"


def exact(written: str | datetime | None) -> str:
    """Return a time for machines, as the attribute datetime wants it."""
    at = _parsed(written)
    return "" if at is None else at.isoformat(timespec="seconds")


def _parsed(written: str | datetime | None) -> datetime | None:
    at = datetime.fromisoformat(written) if isinstance(written, str) else written
    return None if at is None else at.astimezone(UTC)
