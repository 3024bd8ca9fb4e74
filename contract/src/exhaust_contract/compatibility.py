"""The rule by which the contract changes: what was ever released is right for ever, in both directions.

Old events follow the present schemas, and present events follow every released schema (FULL_TRANSITIVE). So a field is
never removed, narrowed, widened or made necessary; one can be added, which older readers ignore.
"""

from __future__ import annotations

from importlib import resources
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from exhaust_contract.documents import FULL, KINDS, LEAST, example, part_of, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_SAYS_NOTHING: Final = frozenset(
    {"$schema", "$id", "version", "title", "description", "$comment", "examples", "$defs", "deprecated"}
)
_LOWER: Final = frozenset({"minimum", "minLength", "minItems", "exclusiveMinimum"})
_UPPER: Final = frozenset({"maximum", "maxLength", "maxItems", "exclusiveMaximum"})
_TYPE: Final = "/ce_type"  # a new meaning is a new type, which older readers let be
SCHEMAS: Final = ("headers", *dict.fromkeys(kind.topic for kind in KINDS))


def released_versions() -> list[str]:
    """Return the versions of the contract that were released, the oldest first."""
    found = [place.name for place in _releases().iterdir()]
    return sorted(found, key=lambda name: [int(part) for part in name.split(".")])


def released(version: str) -> Traversable:
    """Return the folder of the schemas of a version."""
    return _releases() / version


def _releases() -> Traversable:
    return resources.files("exhaust_contract") / "released"


def incompatibilities(old: Traversable, new: Traversable) -> list[str]:
    """Return a sentence for each thing that an older and a newer folder of schemas cannot both be right about."""
    gone = [f"{name} was removed" for name in sorted(_names(old) - _names(new))]
    if gone:
        return gone
    found = [*_wrong_examples(old, new, "the older example"), *_wrong_examples(new, old, "the newer example")]
    for name in SCHEMAS:
        if f"{name}.schema.json" in _names(old):
            before, after = schema(name, old), schema(name, new)
            found += [f"{name}: {what}" for what in _differences(_Pair(before, after), before, after, "")]
    return found


def _names(place: Traversable) -> set[str]:
    """Return the names of all schemas and examples in a folder."""
    return {file.name for folder in (place, place / "examples") for file in folder.iterdir() if file.is_file()}


def _wrong_examples(examples: Traversable, schemas: Traversable, which: str) -> Iterator[str]:
    headers = _validator(schema("headers", schemas))
    both = _names(examples) & _names(schemas)
    for kind, variant in product(KINDS, (LEAST, FULL)):
        if f"{kind.name}.{variant}.json" not in both:  # a kind that one of them does not know
            continue
        value = _validator(part_of(schema(kind.topic, schemas), kind.part))
        shown = example(kind.name, variant, examples)
        for part, validator in (("headers", headers), ("value", value)):
            for error in validator.iter_errors(shown[part]):
                where = "/".join(["", part, *map(str, error.instance_path)])
                yield f"{which} {kind.name}.{variant} does not follow the other schema at {where}"


def _validator(document: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(document, validate_formats=True)


class _Pair:
    """Two schemas, in which references are followed."""

    def __init__(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self._before = before
        self._after = after

    def followed(self, before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return _followed(self._before, before), _followed(self._after, after)


def _followed(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _differences(pair: _Pair, before: dict[str, Any], after: dict[str, Any], place: str) -> Iterator[str]:
    before, after = pair.followed(before, after)
    where = place or "the value"
    yield from _properties(pair, before, after, place)
    if "items" in before and "items" in after:
        yield from _differences(pair, before["items"], after["items"], f"{place}/*")
    for one, other in zip(before.get("oneOf", ()), after.get("oneOf", ()), strict=False):
        yield from _differences(pair, one, other, f"{place}({_followed_title(pair, one, other)})")
    if len(before.get("oneOf", ())) > len(after.get("oneOf", ())):
        yield f"{where}: a kind of value was removed"
    for name in sorted(set(before.get("required", ())) ^ set(after.get("required", ()))):
        was = "is necessary now" if name in after.get("required", ()) else "is no longer there for certain"
        yield f"{place}/{name} {was}"
    walked = _SAYS_NOTHING | {"properties", "required", "items", "oneOf"}
    for rule in sorted((set(before) | set(after)) - walked):
        is_new_type = (place, rule) == (_TYPE, "enum") and set(before[rule]) <= set(after.get(rule, ()))
        if before.get(rule) != after.get(rule) and not is_new_type:
            yield f"{where}: {rule} was {_direction(rule, before.get(rule), after.get(rule))}"


def _followed_title(pair: _Pair, one: dict[str, Any], other: dict[str, Any]) -> str:
    return str(pair.followed(one, other)[0].get("title", ""))


def _properties(pair: _Pair, before: dict[str, Any], after: dict[str, Any], place: str) -> Iterator[str]:
    for name, old in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{place}/{name} was removed"
        else:
            yield from _differences(pair, old, after["properties"][name], f"{place}/{name}")


def _direction(rule: str, before: Any, after: Any) -> str:
    """Return how a rule has changed: narrowed or widened where that can be told."""
    if before is None:
        return "narrowed: it is new"
    if after is None:
        return "widened: it is gone"
    if rule in _LOWER | _UPPER:
        return "narrowed" if (after > before) == (rule in _LOWER) else "widened"
    if rule == "enum":
        return "narrowed" if set(before) - set(after) else "widened"
    return "changed"
