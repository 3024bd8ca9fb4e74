"""What the kinds of events say that several workflows share: the `edata` of version 3.0."""

from collections.abc import Sequence


def impression(kind: str, page: str) -> dict[str, object]:
    """A page was shown."""
    return {"type": kind, "pageid": page, "uri": f"/{page}", "visits": []}


def interact(kind: str, target: str, page: str) -> dict[str, object]:
    """Somebody touched or clicked something on a page."""
    return {"type": kind, "subtype": "", "id": target, "pageid": page, "extra": {"pos": [], "values": []}}


def audit(properties: Sequence[str], *, state: str, previous: str) -> dict[str, object]:
    """An object changed: which of its properties, and from which state to which."""
    return {"props": list(properties), "state": state, "prevstate": previous}


def access(method: str, path: str, *, status: int, milliseconds: int, size: int) -> dict[str, object]:
    """A service answered a request.

    Args:
        method: The HTTP method.
        path: What was called.
        status: The HTTP status of the answer.
        milliseconds: How long it took.
        size: Bytes of the answer.
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
