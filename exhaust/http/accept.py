"""The choice between a page and its JSON, by the Accept header of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web


def prefers_html(request: web.BaseRequest) -> bool:
    """Return True when the Accept header names HTML, and not before JSON, as that of every browser does."""
    weights = _weights(request)
    return weights.get("text/html", 0.0) > weights.get("application/json", 0.0)


def prefers_json(request: web.BaseRequest) -> bool:
    """Return True when the Accept header names JSON, and HTML not before it."""
    weights = _weights(request)
    wanted = weights.get("application/json", 0.0)
    return wanted > 0 and wanted >= weights.get("text/html", 0.0)


def _weights(request: web.BaseRequest) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in request.headers.get("Accept", "").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights.setdefault(kind, _weight(parameters))
    return weights


def _weight(parameters: Iterable[str]) -> float:
    found = [value for name, _, value in (parameter.partition("=") for parameter in parameters) if name == "q"]
    try:
        return float(found[0]) if found else 1.0
    except ValueError:
        return 0.0
