"""An independent count: what a download must hold, computed a second time from the raw files.

This module checks the aggregator, so it shares no code with it: it uses the standard library alone, has one plain
function for each question, and reads everything with `json`, one object in memory at a time. It is slow on purpose.

How an event is read, where the rules leave room:

- An event whose `eid` begins with `ME_` is a summary, read by rules of its own. Of others the value of `ver` alone
  decides: "1.0"; "2.0"; "2.1" and "2.2", also as numbers such as 2.1; anything else, or none, is read as 3.x.
- Where a list is expected, a bare value counts as a list of one, and lists in lists count as one list.
- A value is a string or a list of strings; blank strings and all else are ignored. Of channels the first counts. Where
  a channel should stand and only other values do, such as a number, the event has no channel at all.
- 3.x tags: strings as they stand, and the `genie` of objects. `cdata` may be written `cData`.
- `metadata.partner_name` is the SHA-1 of a partner already, in any version.
- A line ends at a line feed. Lines of white space alone are nothing at all. A line that is no JSON object with an
  `eid` is unreadable: so is one with NaN or Infinity, and one that is not UTF-8.
- A byte order mark in front of a line is passed over for reading and stays in the copied line.
"""

import gzip
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_DIGITS = 1000
"""Digits of a whole number that Python reads; of more it makes an error."""

SHOWN = 100
"""Bytes of a line that a difference shows."""

Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of a request.

    Attributes:
        resource: The resource id: 32 lower-case hexadecimal digits for a partner or a channel.
        tags: An event must have one of these; empty asks for no tag.
        default_channel: The channel of events that name none.
        whole_objects: Whether all of an object belongs to the resource (layout `resource`), whatever its events say.
    """

    resource: str
    tags: tuple[str, ...] = ()
    default_channel: str = "in.ekstep"
    whole_objects: bool = False


@dataclass(frozen=True, slots=True)
class ObjectCount:
    """The expected content of one source object: events, bytes and SHA-256 of its lines, and its unreadable lines."""

    name: str
    events: int
    bytes: int
    sha256: str
    unreadable: int


@dataclass(frozen=True, slots=True)
class DayComparison:
    """The content of one day of a download, and its first difference from the raw files."""

    day: str
    events: int
    bytes: int
    unreadable: int
    difference: str | None = None


# Reading an event.


def parse_event(line: bytes) -> Event | None:
    """Return the event that a line holds, or None when it holds none."""
    try:
        value: object = json.loads(line.decode("utf-8"), parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and "eid" in value:
        return value
    return None


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


def _objects(value: object) -> Iterator[Event]:
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
        for tag in _objects(event.get("tags")):
            found.extend(_strings(tag.get("partnerid")))
    elif version == "2.0":
        for tag in _objects(event.get("tags")):
            found.extend(_strings(tag.get("partnerid")))
            found.extend(_strings(tag.get("partner")))
    elif version in ("2.1", "2.2", "ME"):
        found.extend(_strings(_inside(event, "etags").get("partner")))
    else:
        context = _inside(event, "context")
        for item in _objects([context.get("cdata"), context.get("cData")]):
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
        for tag in _objects(event.get("tags")):
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
        for tag in _objects(event.get("tags")):
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


def is_wanted(event: Event, wanted: Wanted) -> bool:
    """Return whether an event belongs to the resource and has one of the tags, where tags are asked for."""
    if wanted.tags and not any(tag in wanted.tags for tag in tags_of(event)):
        return False
    if wanted.whole_objects:
        return True
    named = [*partners_of(event), channel_of(event, wanted.default_channel)]
    if any(name is not None and resource_of(name) == wanted.resource for name in named):
        return True
    hashes = _strings(_inside(event, "metadata").get("partner_name"))
    return any(_resource_of_hash(written) == wanted.resource for written in hashes)


# Reading raw objects.


def lines_of(data: bytes) -> Iterator[tuple[bytes, Event | None]]:
    """Yield the lines of a gzip object as they are, each with its event; skip lines of white space alone.

    Raises:
        OSError, EOFError, zlib.error: If the bytes are no sound gzip file.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as content:
        yield from _lines_in(content)


def _lines_in(content: Iterator[bytes]) -> Iterator[tuple[bytes, Event | None]]:
    for line in content:
        if line.strip():
            yield line, parse_event(line.removeprefix(BYTE_ORDER_MARK))


def expected_lines(data: bytes, wanted: Wanted) -> Iterator[bytes]:
    """Yield the lines that the download must hold of a gzip object, in order and byte for byte."""
    if wanted.whole_objects and not wanted.tags:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as content:
            yield from content
        return
    for line, event in lines_of(data):
        if event is not None and is_wanted(event, wanted):
            yield line


def count_object(name: str, data: bytes, wanted: Wanted) -> ObjectCount:
    """Count one gzip object, whose name is that in its bucket without its folder."""
    events = unreadable = size = 0
    digest = hashlib.sha256()
    for line, event in lines_of(data):
        if event is None:
            unreadable += 1
        elif is_wanted(event, wanted):
            events += 1
            size += len(line)
            digest.update(line)
    if wanted.whole_objects and not wanted.tags:
        content = gzip.decompress(data)
        size, digest = len(content), hashlib.sha256(content)
    return ObjectCount(name, events, size, digest.hexdigest(), unreadable)


def count_day(objects: Mapping[str, bytes], wanted: Wanted) -> list[ObjectCount]:
    """Count the gzip objects of one day, by name, in the order of their names."""
    return [count_object(name, objects[name], wanted) for name in sorted(objects)]


# Reading the download.


def compare_download(
    archive: Path, days: Sequence[str], read_day: Callable[[str], Mapping[str, bytes]], wanted: Wanted
) -> list[DayComparison]:
    """Compare a downloaded outer zip with the raw files.

    Args:
        archive: The downloaded zip.
        days: Every day of the request, as YYYY-MM-DD, in order.
        read_day: Returns the raw gzip objects of a day by name; none for a day without any.
        wanted: What the request asked for.

    Returns:
        What was found on each day, in order. A difference names the day, the object and the line.
    """
    try:
        with zipfile.ZipFile(archive) as outer:
            difference = _different_names(outer, [f"{day}.zip" for day in days] + ["manifest.json"])
            if difference:
                return [DayComparison(days[0], 0, 0, 0, f"{archive.name}: {difference}")]
            manifest = json.loads(outer.read("manifest.json"))
            return [_compare_day(outer, day, read_day(day), wanted, manifest) for day in days]
    except (zipfile.BadZipFile, zlib.error, ValueError) as error:
        return [DayComparison(days[0], 0, 0, 0, f"{archive.name}: {error}")]


def _compare_day(
    outer: zipfile.ZipFile, day: str, objects: Mapping[str, bytes], wanted: Wanted, manifest: object
) -> DayComparison:
    counts = count_day(objects, wanted)
    expected = [count for count in counts if count.bytes]
    found: list[ObjectCount] = []
    try:
        with outer.open(f"{day}.zip") as stream, zipfile.ZipFile(stream) as inner:
            difference = _different_names(inner, [member_name(count.name) for count in expected])
            for count in [] if difference else expected:
                found.append(_found_in(inner, count))
                if found[-1] != count:
                    difference = difference or _different_line(inner, count.name, objects[count.name], wanted)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        difference = f"{day}.zip: {error}"
    difference = difference or _different_figures(manifest, day, counts)
    return DayComparison(
        day,
        sum(member.events for member in found),
        sum(member.bytes for member in found),
        sum(count.unreadable for count in counts),
        f"{day}: {difference}" if difference else None,
    )


def _different_figures(manifest: object, day: str, counts: list[ObjectCount]) -> str | None:
    said = manifest.get("days") if isinstance(manifest, dict) else None
    entry = next((entry for entry in _objects(said) if entry.get("day") == day), None)
    if entry is None:
        return "manifest.json: the day is missing"
    expected = {
        "events": sum(count.events for count in counts),
        "bytes": sum(count.bytes for count in counts),
        "unreadable": sum(count.unreadable for count in counts),
    }
    for name, figure in expected.items():
        if entry.get(name) != figure:
            return f"manifest.json: expected {figure} {name}, found {entry.get(name)}"
    return None


def member_name(object_name: str) -> str:
    """Return the name that a source object has in a day's zip."""
    return object_name.removesuffix(".gz")


def _found_in(inner: zipfile.ZipFile, expected: ObjectCount) -> ObjectCount:
    """Count a member of a day's zip; the same bytes give the same count."""
    digest = hashlib.sha256()
    with inner.open(member_name(expected.name)) as member:
        for line in member:
            digest.update(line)
    if digest.hexdigest() == expected.sha256:
        return expected
    with inner.open(member_name(expected.name)) as member:
        events = sum(event is not None for _line, event in _lines_in(member))
        size = member.tell()
    return ObjectCount(expected.name, events, size, digest.hexdigest(), 0)


def _different_names(archive: zipfile.ZipFile, expected: list[str]) -> str | None:
    found = archive.namelist()
    for place in range(max(len(expected), len(found))):
        wanted = expected[place] if place < len(expected) else "no more members"
        actual = found[place] if place < len(found) else "no more members"
        if wanted != actual:
            return f"member {place + 1}: expected {wanted}, found {actual}"
    return None


def _different_line(inner: zipfile.ZipFile, name: str, data: bytes, wanted: Wanted) -> str | None:
    expected = expected_lines(data, wanted)
    with inner.open(member_name(name)) as member:
        number = 0
        while True:
            number += 1
            ours = next(expected, b"")
            theirs = member.readline()
            if ours != theirs:
                return f"{member_name(name)}, line {number}: expected {_shown(ours)}, found {_shown(theirs)}"
            if not ours:
                return None


def _shown(line: bytes) -> str:
    if not line:
        return "the end"
    return repr(line[:SHOWN]) + (" ..." if len(line) > SHOWN else "")
