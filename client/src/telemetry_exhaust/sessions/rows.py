"""Parts as rows of a table, and trees as JSON objects."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable, Final

from telemetry_exhaust.sessions.parts import FINISHED, LOOSE, workflow_of
from telemetry_exhaust.sessions.seen import group_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from telemetry_exhaust.sessions.parts import Part
    from telemetry_exhaust.sessions.seen import Seen
    from telemetry_exhaust.sessions.trees import Deviation

Where = Callable[[int], tuple[str, int]]

TEXT: Final = "string"
INT: Final = "int64"
FLOAT: Final = "float64"
# The columns of a part, with their types as Arrow names them.
COLUMNS: Final = {
    "tree": INT,
    "part": INT,
    "within": INT,
    "workflow": TEXT,
    "type": TEXT,
    "state": TEXT,
    "session": TEXT,
    "about": TEXT,
    "version": TEXT,
    "started": TEXT,
    "ended": TEXT,
    "seconds": FLOAT,
    "atleast": FLOAT,
    "said": FLOAT,
    "events": INT,
    "screens": INT,
    "file": TEXT,
    "line": INT,
    "endfile": TEXT,
    "endline": INT,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def rows_of(tree: Part, number: int, where: Where) -> Iterator[dict[str, Any]]:
    """Return a tree as one row a part, numbered in the order of their STARTs.

    Args:
        number: of the tree.
        where: returns the file and line of a place.
    """
    workflow = workflow_of(tree)
    numbers: dict[int, int] = {}
    for part in tree.walk():
        numbers[id(part)] = len(numbers) + 1
        told = _facts(part, where)
        told.update(tree=number, part=numbers[id(part)], within=numbers.get(id(part.parent)), workflow=workflow)
        yield {name: told.get(name) for name in COLUMNS}


def document_of(tree: Part, deviations: Iterable[Deviation], where: Where) -> dict[str, Any]:
    """Return a tree as one object, with the parts in one another, and what is not as it is drawn."""
    told = [_told(deviation, where) for deviation in deviations]
    return {"workflow": workflow_of(tree), **_nested(tree, where), "deviations": told}


def _told(deviation: Deviation, where: Where) -> dict[str, Any]:
    file, line = where(deviation.place)
    return {"kind": deviation.kind, "file": file, "line": line, "says": deviation.says}


def moment(ms: int) -> str:
    """Return a time as ISO 8601 in UTC."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _nested(part: Part, where: Where) -> dict[str, Any]:
    told = {name: value for name, value in _facts(part, where).items() if value is not None}
    if part.before is not None:
        file, line = where(part.before.place)
        told["before"] = {"eid": part.before.eid, "file": file, "line": line}
    told["counts"] = part.counts
    told["parts"] = [_nested(child, where) for child in part.children]
    return told


def _facts(part: Part, where: Where) -> dict[str, Any]:
    finished = part.state == FINISHED
    told: dict[str, Any] = {
        "type": part.type,
        "state": part.state,
        "session": part.session or group_name(part.group),
        "about": part.about or None,
        "atleast": part.ms / 1000,
        "events": part.events,
        "screens": part.screens,
    }
    if part.start is not None:
        told["started"] = moment(part.start.time)
        told["file"], told["line"] = where(part.start.place)
        told["version"] = part.start.version or None if part.state != LOOSE else None
    if part.end is not None:
        told.update(_ending(part.end, where), seconds=part.ms / 1000 if finished else None)
    return told


def _ending(end: Seen, where: Where) -> dict[str, Any]:
    file, line = where(end.place)
    return {"ended": moment(end.time), "said": end.said, "endfile": file, "endline": line}
