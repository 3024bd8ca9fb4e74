"""What the page /contract shows of the contract: topics, events with their fields and examples, refusals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import yaml
from exhaust_contract import __version__
from exhaust_contract.documents import KINDS, VARIANTS, example, part_of, refusal_example, schema
from exhaust_contract.refusals import EXPLANATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exhaust_contract.documents import EventKind
    from exhaust_contract.refusals import Explanation

_RULES: Final = {
    "const": "always {}",
    "enum": "one of {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "format": "{}",
    "pattern": "matches {}",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event, or a header.

    Attributes:
        pointer: its place.
        type: of its value.
        rules: what its value must keep to.
        needed: it is always there, when what it stands in is.
        description: what it says.
    """

    pointer: str
    type: str
    rules: str
    needed: bool
    description: str


def contract_document() -> dict[str, Any]:
    """Return what the page shows."""
    api = yaml.load(resources.files("schemas").joinpath("asyncapi.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)
    titles = {message["name"]: message for message in api["components"]["messages"].values()}
    return {
        "version": __version__,
        "topics": [_topic(channel) for channel in api["channels"].values()],
        "headers": list(fields(schema("headers"))),
        "events": [_event(kind, titles[kind.type]) for kind in KINDS],
        "refusals": [_refusal(code.value, said) for code, said in EXPLANATIONS.items()],
    }


def _topic(channel: Mapping[str, Any]) -> dict[str, Any]:
    settings = channel["bindings"]["kafka"]["topicConfiguration"]
    return {
        "name": channel["address"],
        "description": channel["description"],
        "kept": _lasting(timedelta(milliseconds=settings["retention.ms"])),
        "largest": settings["max.message.bytes"],
    }


def _lasting(kept: timedelta) -> str:
    return f"{kept.days} days" if kept.days else f"{kept // timedelta(hours=1)} h"


def _event(kind: EventKind, message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": kind.name,
        "type": kind.type,
        "topic": kind.topic,
        "title": message["title"],
        "summary": message["summary"],
        "fields": list(fields(part_of(schema(kind.topic), kind.part))),
        "examples": [_example(kind.name, variant) for variant in VARIANTS],
    }


def _refusal(code: str, said: Explanation) -> dict[str, str]:
    return {"code": code, "text": json.dumps(refusal_example(code), indent=2), **said._asdict()}


def _example(name: str, variant: str) -> dict[str, Any]:
    shown = example(name, variant)
    return {"variant": variant, "text": json.dumps(shown, indent=2), "refused": shown.get("refused")}


def fields(document: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields of an object's schema, those of objects in it after it."""
    yield from _fields(document, document, "")


def _fields(document: Mapping[str, Any], part: Mapping[str, Any], place: str) -> Iterator[Field]:
    part = _followed(document, part)
    for name, found in part.get("properties", {}).items():
        inner = _followed(document, found)
        needed = name in part.get("required", ())
        rules = "; ".join(text.format(_text(inner[rule])) for rule, text in _RULES.items() if rule in inner)
        kind = inner.get("type") or _kind_of_values(inner)
        yield Field(f"{place}/{name}", kind, rules, needed, inner.get("description", ""))
        yield from _fields(document, inner, f"{place}/{name}")
        if "items" in inner:
            yield from _fields(document, inner["items"], f"{place}/{name}/*")


def _kind_of_values(part: Mapping[str, Any]) -> str:
    values = [part["const"]] if "const" in part else part.get("enum", ())
    return "string" if all(isinstance(value, str) for value in values) else ""


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _followed(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    return document["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
