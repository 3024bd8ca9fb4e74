"""Values of an event: a field by its dotted name, and all its tags, wherever a version keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_HOLDERS = (("etags", "app"), ("etags", "dims"), ("dimensions", "tag"))


def value_at(event: dict[str, Any], name: Sequence[str]) -> Any:
    """Return the value at a dotted name, `("context", "channel")`; None where there is none."""
    value: Any = event
    for part in name:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def tags_of(event: dict[str, Any]) -> set[str]:
    """Return the tags of an event of any version: strings, lists of them, `genie` and `dims` of objects, `etags`."""
    found = set(_tags(event.get("tags")))
    found.update(_strings(event.get("genieTag")))
    for name in _HOLDERS:
        found.update(_strings(value_at(event, name)))
    return found


def matches(event: dict[str, Any], eids: Collection[str], tags: Collection[str]) -> bool:
    """Return True when an event has one of the eids, and one of the tags; none of either filters nothing."""
    if eids and event.get("eid") not in eids:
        return False
    return not tags or not tags_of(event).isdisjoint(tags)


def _tags(value: Any) -> Iterator[str]:
    for item in _flat(value):
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from _strings(item.get("genie"))
            yield from _strings(item.get("dims"))


def _strings(value: Any) -> Iterator[str]:
    return (item for item in _flat(value) if isinstance(item, str))


def _flat(value: Any) -> Iterator[Any]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        else:
            yield item
