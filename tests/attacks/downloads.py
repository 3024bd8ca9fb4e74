"""A download taken apart, as a partner's own program would."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any, Final

_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a download holds.

    Attributes:
        days: by day, the bytes of each member by name.
        manifest: decoded.
    """

    days: dict[str, dict[str, bytes]]
    manifest: dict[str, Any]

    @property
    def lines(self) -> list[bytes]:
        """All lines, without their ends."""
        members = (data for day in self.days.values() for data in day.values())
        return [line for data in members for line in data.splitlines()]

    @property
    def mids(self) -> list[str]:
        """The `mid` of each event, in order; of what is no event, nothing."""
        found = []
        for line in self.lines:
            try:
                found.append(str(json.loads(line)["mid"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        return found

    def day(self, day: str) -> dict[str, Any]:
        """A day's entry of the manifest."""
        [found] = [entry for entry in self.manifest["days"] if entry["day"] == day]
        entry: dict[str, Any] = found
        return entry


def opened(download: bytes) -> Opened:
    """Take a download apart; every checksum is checked."""
    with zipfile.ZipFile(io.BytesIO(download)) as outer:
        names = [name for name in outer.namelist() if name != _MANIFEST]
        days = {name.removesuffix(".zip"): _members(outer.read(name)) for name in names}
        return Opened(days, json.loads(outer.read(_MANIFEST)))


def _members(day: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(day)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
