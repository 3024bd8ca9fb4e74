"""The documents of the contract: JSON Schemas and examples, as they stand in this package."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class EventKind(NamedTuple):
    """A kind of event.

    Attributes:
        name: in the names of its examples.
        type: its ce_type.
        topic: where it is sent.
        part: the definition of the topic's schema that its value follows; empty for the whole.
    """

    name: str
    type: str
    topic: str
    part: str = ""


KINDS: Final = (
    EventKind("progress", "telemetry-exhaust.dataset.progress.v1", "dataset.completions", "progress"),
    EventKind("completed", "telemetry-exhaust.dataset.completed.v1", "dataset.completions", "completed"),
    EventKind("failed", "telemetry-exhaust.dataset.failed.v1", "dataset.completions", "failed"),
    EventKind("requested", "telemetry-exhaust.dataset.requested.v1", "dataset.requests"),
    EventKind("day-requested", "telemetry-exhaust.day.requested.v1", "dataset.days"),
    EventKind("beat", "telemetry-exhaust.worker.beat.v1", "dataset.beats"),
)
LEAST: Final = "least"
FULL: Final = "full"
REFUSED: Final = "refused"
VARIANTS: Final = (LEAST, FULL, REFUSED)


def folder() -> Traversable:
    """Return the folder of the schemas, with the examples in a folder of its own."""
    return resources.files("exhaust_contract") / "schemas"


def schema(name: str, place: Traversable | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a topic, or that of the `headers`.

    Args:
        name: the topic.
        place: another folder than this package's.
    """
    found: dict[str, Any] = json.loads(((place or folder()) / f"{name}.schema.json").read_text("utf-8"))
    return found


def example(name: str, variant: str, place: Traversable | None = None) -> dict[str, Any]:
    """Return an example: `headers`, `key`, `value`, and `refused` (code, pointer) of one that is refused.

    Args:
        name: of the kind of event.
        variant: least, full or refused.
        place: another folder of schemas than this package's.
    """
    path = (place or folder()) / "examples" / f"{name}.{variant}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def refusal_example(code: str) -> dict[str, Any]:
    """Return an event that earns a code: as an example, but with `text` for a value that is no JSON, or without one."""
    found: dict[str, Any] = json.loads((folder() / "examples" / "refusals" / f"{code}.json").read_text("utf-8"))
    return found


def part_of(document: dict[str, Any], part: str) -> dict[str, Any]:
    """Return the schema of one part of a schema; the whole for an empty name."""
    if not part:
        return document
    return {"$schema": document["$schema"], "$ref": f"#/$defs/{part}", "$defs": document["$defs"]}
