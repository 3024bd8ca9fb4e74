"""An independent count: what a download must hold, computed a second time from the raw files.

This module checks the aggregator, so it shares no code with it: it uses the standard library alone, has one plain
function for each question, and reads everything with `json`, one object in memory at a time. It is slow on purpose.

How an event is read is in independent_events.py. A line ends at a line feed. Lines of white space alone are nothing at
all. A line that is no event is unreadable; so is one of more than 1 MiB, its line feed included. A byte order mark in
front of a line is passed over for reading and stays in the copied line.
"""

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.independent_events import Event, objects_in, parse_event, resources_of, tags_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 1 << 20
DROPPED_SUFFIXES = ("gz", "gzip", "zst", "zstd", "tmp")
SHOWN = 100
"""Bytes of a line that a difference shows."""


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


def is_wanted(event: Event, wanted: Wanted) -> bool:
    """Return whether an event belongs to the resource and has one of the tags, where tags are asked for."""
    if wanted.tags and not any(tag in wanted.tags for tag in tags_of(event)):
        return False
    return wanted.whole_objects or wanted.resource in resources_of(event, wanted.default_channel)


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
        if len(line) > LONGEST_LINE:
            yield line, None
        elif line.strip():
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
    entry = next((entry for entry in objects_in(said) if entry.get("day") == day), None)
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
    members = {source.get("object"): source.get("member") for source in objects_in(entry.get("sources"))}
    for count in counts:
        expected_member = member_name(count.name) if count.bytes else None
        if members.get(count.name) != expected_member:
            return f"manifest.json: expected member {expected_member} of {count.name}, found {members.get(count.name)}"
    return None


def member_name(object_name: str) -> str:
    """Return the name that a source object has in a day's zip."""
    name = object_name
    while name.rpartition(".")[2].lower() in DROPPED_SUFFIXES:
        name = name.rpartition(".")[0]
    return name


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
