"""The API document (OpenAPI), and its part for each listener."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REFERENCE: Final = re.compile(r"#/components/([^/]+)/([^/]+)")


@cache
def load_document() -> dict[str, Any]:
    """Load the whole document, internal operations included. All callers share it, so none may change it."""
    text = resources.files("schemas").joinpath("openapi.yaml").read_text("utf-8")
    # libyaml is ten times as fast as the loader in Python.
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def listener_part(document: Mapping[str, Any], listener: str) -> dict[str, Any]:
    """Extract the operations of one listener and the components that they need, without our notes (`x-…`).

    Args:
        document: the whole document.
        listener: public, internal or status.
    """
    operations = {part: _served(document[part], listener) for part in ("paths", "webhooks")}
    items = [item for items in operations.values() for item in items.values()]
    tags = {tag for item in items for operation in item.values() for tag in operation["tags"]}
    return {
        **document,
        "tags": [tag for tag in document["tags"] if tag["name"] in tags],
        **operations,
        "components": _needed(document["components"], operations),
    }


def _served(items: Mapping[str, Any], listener: str) -> dict[str, dict[str, Any]]:
    """Extract the operations of one listener from the paths, or from the webhooks, of a document."""
    served = {
        path: {
            method: {name: part for name, part in operation.items() if not name.startswith("x-")}
            for method, operation in item.items()
            if listener in operation["x-listeners"]
        }
        for path, item in items.items()
    }
    return {path: item for path, item in served.items() if item}


def _needed(components: Mapping[str, Any], operations: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the components that operations refer to, directly or through others, and their security schemes."""
    needed: set[tuple[str, str]] = set()
    found = set(_references(operations))
    while found:
        needed |= found
        found = {more for kind, name in found for more in _references(components[kind][name])} - needed
    return {
        kind: {name: part for name, part in parts.items() if (kind, name) in needed}
        for kind, parts in components.items()
    }


def _references(part: object) -> Iterator[tuple[str, str]]:
    """Find the components that a part of the document refers to, as kind and name."""
    if isinstance(part, dict):
        if match := _REFERENCE.fullmatch(str(part.get("$ref", ""))):
            yield match[1], match[2]
        for requirement in part.get("security", ()):
            yield from (("securitySchemes", name) for name in requirement)
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
