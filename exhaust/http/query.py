"""The query parameters of a call: those that its operation does not have are refused, not ignored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from multidict import MultiMapping

    from schemas.operations import Operation

MAX_NAMES: Final = 20
MAX_NAME_LENGTH: Final = 100
# As PHP and qs write lists; a number with zeros before it would be a word to them.
_PLACE_IN_LIST: Final = re.compile(r"([^\[\]]+)\[(0|[1-9][0-9]{0,5})?\]", re.ASCII)


def check_query(query: MultiMapping[str], operation: Operation) -> None:
    """Check that the operation has these parameters, and that only lists are sent several times.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; it names each wrong parameter, never a value.
    """
    wrong = [(_shown(name), what) for name in dict.fromkeys(query) if (what := _problem(name, query, operation))]
    if wrong:
        wrong = wrong[:MAX_NAMES]
        message = "; ".join(f"{name}: {what}" for name, what in wrong)
        violations = [(f"?{name}", what) for name, what in wrong]
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, message, violations=violations)


def list_values(query: MultiMapping[str], name: str) -> list[str]:
    """Return the values of a list: those without an index as they are sent, then the others in the order of indexes."""
    found = []
    for written, value in query.items():
        base, index = _place(written)
        if base == name:
            found.append((-1 if index is None else index, value))
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def _problem(name: str, query: MultiMapping[str], operation: Operation) -> str | None:
    base, index = _place(name)
    if base in operation.query_lists:
        single = index is not None
    elif name in operation.query:
        single = True
    else:
        return "this operation has no such query parameter"
    return "this query parameter must be sent once" if single and len(query.getall(name)) > 1 else None


def _place(name: str) -> tuple[str, int | None]:
    """Split a name such as `tags[3]` into that of the list and the index; `tags[]` and `tags` have none."""
    match = _PLACE_IN_LIST.fullmatch(name)
    if match is None:
        return name, None
    return match[1], None if match[2] is None else int(match[2])


def _shown(name: str) -> str:
    """Return a name that fits into an answer: of limited length, without halves of characters."""
    text = name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}…"
    return text.encode(errors="replace").decode() or '""'
