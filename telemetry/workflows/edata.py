"""The `edata` (version 3.0) of event kinds that several workflows share."""

from collections.abc import Sequence


def impression(kind: str, page: str) -> dict[str, object]:
    """Return the data of an IMPRESSION: a page was shown."""
    return {"type": kind, "pageid": page, "uri": f"/{page}", "visits": []}


def interact(kind: str, target: str, page: str) -> dict[str, object]:
    """Return the data of an INTERACT: somebody touched or clicked something on a page."""
    return {"type": kind, "subtype": "", "id": target, "pageid": page, "extra": {"pos": [], "values": []}}


def audit(properties: Sequence[str], *, state: str, previous: str) -> dict[str, object]:
    """Return the data of an AUDIT: properties of an object changed, and perhaps its state."""
    return {"props": list(properties), "state": state, "prevstate": previous}


def access(method: str, path: str, *, status: int, milliseconds: int, size: int) -> dict[str, object]:
    """Return the data of an ACCESS: a service answered a request.

    Args:
        method: the HTTP method.
        path: what was called.
        status: the HTTP status of the answer.
        milliseconds: how long it took.
        size: bytes of the answer.
    """
    return {
        "type": "api",
        "category": "http",
        "method": method,
        "title": path,
        "status": status,
        "duration": milliseconds,
        "size": size,
    }
