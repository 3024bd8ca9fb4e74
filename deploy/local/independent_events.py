"""An independent reading of one event, for independent_count.py: it uses the standard library alone and shares no code.

How an event is read, where the rules leave room:

- An event whose `eid` begins with `ME_` is a summary, read by rules of its own. Of others the value of `ver` alone
  decides: "1.0"; "2.0"; "2.1" and "2.2", also as numbers such as 2.1; anything else, or none, is read as 3.x.
- Where a list is expected, a bare value counts as a list of one, and lists in lists count as one list.
- A value is a string or a list of strings; blank strings and all else are ignored. Of channels the first counts. Where
  a channel should stand and only other values do, such as a number, the event has no channel at all.
- 3.x tags: strings as they stand, and the `genie` of objects. `cdata` may be written `cData`.
- `metadata.partner_name` is the SHA-1 of a partner already, in any version.
- What is no JSON object with an `eid` is no event: neither is what holds NaN or Infinity, what is not UTF-8, and what
  nests deeper than 800 levels.
"""

import hashlib
import json
import re
from collections.abc import Iterator

DEEPEST_LEVEL = 800
MOST_DIGITS = 1000
"""Digits of a whole number that Python reads; of more it makes an error."""

Event = dict[str, object]


def parse_event(line: bytes) -> Event | None:
    """Return the event that a line holds, or None when it holds none."""
    if _depth(line) > DEEPEST_LEVEL:
        return None
    try:
        value: object = json.loads(line.decode("utf-8"), parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and "eid" in value:
        return value
    return None


def _depth(line: bytes) -> int:
    """Return how deep a line nests, if it is JSON."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST_LEVEL:
        return 0  # no deeper than it has brackets, which spares the search
    depth = deepest = place = 0
    while place < len(line):
        byte = line[place : place + 1]
        if byte == b'"':
            place += 1
            while line[place : place + 1] not in (b'"', b""):
                place += 2 if line[place : place + 1] == b"\\" else 1
        elif byte in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (b"]", b"}"):
            depth -= 1
        place += 1
    return deepest


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < MOST_DIGITS else float(digits)


def _refuse(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON")


def _flattened(value: object) -> Iterator[object]:
    waiting = [value]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, list):
            waiting[:0] = item
        else:
            yield item


def _strings(value: object) -> Iterator[str]:
    for item in _flattened(value):
        if isinstance(item, str) and item.strip():
            yield item


def objects_in(value: object) -> Iterator[Event]:
    """Yield the objects of a value: itself, or those of a list."""
    for item in _flattened(value):
        if isinstance(item, dict):
            yield item


def _inside(event: Event, key: str) -> Event:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def _kind_of(event: Event) -> str:
    """Return the rules by which an event is read: ME, 1.0, 2.0, 2.1, 2.2 or another text for 3.x."""
    eid, version = event.get("eid"), event.get("ver")
    if isinstance(eid, str) and eid[:3] == "ME_":
        return "ME"
    if isinstance(version, float):
        return repr(version)
    return version if isinstance(version, str) and version != "ME" else ""


def partners_of(event: Event) -> list[str]:
    """Return the ids of the partners that an event names."""
    version = _kind_of(event)
    found: list[str] = []
    if version == "1.0":
        for tag in objects_in(event.get("tags")):
            found.extend(_strings(tag.get("partnerid")))
    elif version == "2.0":
        for tag in objects_in(event.get("tags")):
            found.extend(_strings(tag.get("partnerid")))
            found.extend(_strings(tag.get("partner")))
    elif version in ("2.1", "2.2", "ME"):
        found.extend(_strings(_inside(event, "etags").get("partner")))
    else:
        context = _inside(event, "context")
        for item in objects_in([context.get("cdata"), context.get("cData")]):
            kind = item.get("type")
            if isinstance(kind, str) and kind.lower() == "partner":
                found.extend(_strings(item.get("id")))
    return found


def channel_of(event: Event, default_channel: str) -> str | None:
    """Return the channel of an event; the default one when it names none, None when it names what is no id."""
    version = _kind_of(event)
    if version == "1.0":
        return default_channel
    places = [_inside(event, "context").get("channel")]
    if version == "ME":
        places = [_inside(event, "dimensions").get("channel"), event.get("channel")]
    if version in ("2.0", "2.1", "2.2"):
        places = [event.get("channel")]
    for place in places:
        for channel in _strings(place):
            return channel
        if any(item is not None and not isinstance(item, str) for item in _flattened(place)):
            return None
    return default_channel


def tags_of(event: Event) -> list[str]:
    """Return the tags of an event."""
    version = _kind_of(event)
    found: list[str] = []
    if version == "1.0":
        return found
    if version == "2.0":
        for tag in objects_in(event.get("tags")):
            found.extend(_strings(tag.get("genie")))
            found.extend(_strings(tag.get("dims")))
    if version in ("2.1", "2.2", "ME"):
        found.extend(_strings(_inside(event, "etags").get("app")))
        found.extend(_strings(_inside(event, "etags").get("dims")))
    if version == "ME":
        found.extend(_strings(event.get("genieTag")))
        found.extend(tag for tag in _strings(_inside(event, "dimensions").get("tag")) if tag != "all")
    if version not in ("2.0", "2.1", "2.2"):
        found.extend(_strings(event.get("tags")))
        for tag in objects_in(event.get("tags")):
            found.extend(_strings(tag.get("genie")))
    return found


def resource_of(identifier: str) -> str:
    """Return the resource id of a partner or a channel: the first 32 hexadecimal digits of its SHA-1."""
    # SHA-1 only names things here. A lone surrogate, which JSON allows, is hashed as it is.
    digest = hashlib.sha1(identifier.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return digest.hexdigest()[:32]


def _resource_of_hash(written: str) -> str:
    if re.fullmatch("[0-9a-fA-F]{33,40}", written):
        # A full SHA-1, perhaps written by a program that drops leading zeros.
        return written.lower().zfill(40)[:32]
    return written.lower() if re.fullmatch("[0-9a-fA-F]{32}", written) else written


def resources_of(event: Event, default_channel: str) -> set[str]:
    """Return the resource ids of all that an event belongs to."""
    named = [*partners_of(event), channel_of(event, default_channel)]
    hashes = _strings(_inside(event, "metadata").get("partner_name"))
    return {resource_of(name) for name in named if name is not None} | set(map(_resource_of_hash, hashes))
