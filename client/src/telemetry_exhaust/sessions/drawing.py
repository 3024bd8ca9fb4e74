"""Trees as the documents draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry_exhaust.safe_text import safe_text
from telemetry_exhaust.sessions.parts import LOOSE, UNFINISHED, WITHOUT_END, Part, workflow_of
from telemetry_exhaust.sessions.rows import moment
from telemetry_exhaust.sessions.rules import LOG, REQUEST, SERVICE
from telemetry_exhaust.sessions.seen import group_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_exhaust.sessions.seen import Seen

_INDENT: Final = "    "
_ARROW: Final = "| --> "
_NO_END: Final = {WITHOUT_END: "(no END, and none is drawn)", UNFINISHED: "(no END)"}


def drawing(tree: Part) -> Iterator[str]:
    """Return the lines of a tree whose items were kept."""
    workflow = "events in no part" if tree.state == LOOSE else workflow_of(tree) or "none of the four workflows"
    start = f", {moment(tree.start.time)}" if tree.start else ""
    yield f"# {workflow}: {safe_text(tree.session or group_name(tree.group))}{start}"
    if tree.before is not None:
        yield safe_text(tree.before.shown)
    yield from _drawn(tree, 0)


def _drawn(part: Part, depth: int) -> Iterator[str]:
    indent = _INDENT * depth + (_ARROW if depth else "")
    if part.state != LOOSE and part.start is not None:
        yield f"{indent}{safe_text(part.start.shown)} {safe_text(part.about)}".rstrip()
    yield from _items(part, depth + 1)
    if part.left_out:
        yield f"{_INDENT * (depth + 1)}... {part.left_out} more"
    if part.end is not None:
        yield f"{indent}{safe_text(part.end.shown)} after {part.ms / 1000:.1f} s"
    elif part.state != LOOSE:
        yield f"{indent}{_NO_END[part.state]}"


def _items(part: Part, depth: int) -> Iterator[str]:
    logs = _logs(part)
    for item in part.items or ():
        if isinstance(item, Part):
            yield from _drawn(item, depth)
        elif item.place not in logs[0]:
            yield f"{_INDENT * depth}{_ARROW}{_shown(item)}"
            for log in logs[1].get(item.about, ()) if item.role == REQUEST else ():
                yield f"{_INDENT * (depth + 1)}{_ARROW}{_shown(log)}"


def _logs(part: Part) -> tuple[set[int], dict[str, list[Seen]]]:
    """Return the LOG events that belong beneath an ACCESS of a service: their places, and themselves by request."""
    places: set[int] = set()
    by_request: dict[str, list[Seen]] = {}
    for item in (part.items or ()) if part.type == SERVICE else ():
        if isinstance(item, Part) or not item.about:
            continue
        if item.role == REQUEST:
            by_request[item.about] = []
        elif item.role == LOG and item.about in by_request:
            places.add(item.place)
            by_request[item.about].append(item)
    return places, by_request


def _shown(event: Seen) -> str:
    return safe_text(f"{event.shown or event.eid} {event.screen}".rstrip())
