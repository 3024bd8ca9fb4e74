"""Markdown as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Callable

_SIBLING: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})\.md(#.*)?", re.ASCII)
# HTML in the text stays text, and links are checked by the parser, so none runs a script.
_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True, slots=True)
class Html:
    """HTML that a template takes as it is."""

    text: str

    def __html__(self) -> str:
        return self.text


def to_html(markdown: str, url_of_sibling: Callable[[str], str]) -> Html:
    """Return a runbook as HTML. Links to other runbooks lead to their pages, those to other files nowhere.

    Args:
        markdown: its text.
        url_of_sibling: returns the address of another runbook.
    """
    tokens = _PARSER.parse(markdown)
    for token in (child for parent in tokens for child in parent.children or ()):
        if token.type != "link_open":
            continue
        target = str(token.attrs.pop("href", ""))
        sibling = _SIBLING.fullmatch(target)
        if sibling is not None:
            token.attrs["href"] = url_of_sibling(sibling[1])
        elif target.startswith(("https://", "http://")):
            token.attrs["href"] = target
    return Html(_PARSER.renderer.render(tokens, _PARSER.options, {}))
