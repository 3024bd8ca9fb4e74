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
    paths: dict[str, dict[str, Any]] = {}
    for path, operations in document["paths"].items():
        served = {
            method: {name: part for name, part in operation.items() if not name.startswith("x-")}
            for method, operation in operations.items()
            if listener in operation["x-listeners"]
        }
        if served:
            paths[path] = served
    tags = {tag for operations in paths.values() for operation in operations.values() for tag in operation["tags"]}
    return {
        **document,
        "tags": [tag for tag in document["tags"] if tag["name"] in tags],
        "paths": paths,
        "components": _needed(document["components"], paths),
    }


def _needed(components: Mapping[str, Any], paths: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the components that the paths refer to, directly or through others, and their security schemes."""
    needed: set[tuple[str, str]] = set()
    found = set(_references(paths))
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
