"""The check that all contenders did the same job, line by line, against a reading by gzip, json and zipfile."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local.independent_count import Wanted, expected_lines, member_name
from deploy.local.independent_events import resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected content of a day's zip: the lines of each member, by its name.

    Lines are told apart by their bytes, since each event has an id of its own; `members` says whose a line is.
    """

    lines: Mapping[str, Sequence[bytes]]
    members: Mapping[bytes, str]


def expect(files: Sequence[Path], channel: str) -> Expected:
    """Read a day's raw objects for one channel; slow."""
    wanted = Wanted(resource_of(channel))
    lines = {member_name(file.name): list(expected_lines(file.read_bytes(), wanted)) for file in files}
    return Expected(lines, {line: name for name, found in lines.items() for line in found})


def difference(archive: Path, expected: Expected) -> str:
    """Say how a zip differs from what is expected; empty when it does not.

    The lines of each object must all be there, in order, and no others. In which member they are does not matter here:
    not every peer can write one for each object.
    """
    found: dict[str, list[bytes]] = {name: [] for name in expected.lines}
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            with zipped.open(name) as member:
                for line in member:
                    if line not in expected.members:
                        return f"{name} holds a line that it should not: {line[:80]!r}"
                    found[expected.members[line]].append(line)
    for name, lines in expected.lines.items():
        if found[name] != list(lines):
            return f"{len(found[name])} lines of {name} instead of {len(lines)}, or in another order"
    return ""


def has_member_per_object(archive: Path, expected: Expected) -> bool:
    """Return True when each object has a member with its name, in order, as in our archives."""
    with zipfile.ZipFile(archive) as zipped:
        return zipped.namelist() == sorted(name for name, lines in expected.lines.items() if lines)


def whole_difference(archive: Path, files: Sequence[Path]) -> str:
    """Say how a zip differs from the whole contents of gzip files; empty when it does not."""
    with zipfile.ZipFile(archive) as zipped:
        if zipped.namelist() != [member_name(file.name) for file in files]:
            return f"members are {zipped.namelist()[:3]} ..."
        for file in files:
            if zipped.read(member_name(file.name)) != gzip.decompress(file.read_bytes()):
                return f"{file.name} is not as its member"
    return ""
