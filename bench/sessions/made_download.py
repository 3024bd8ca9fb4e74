"""A download of any size, made from one day of the generator: every other day has the same sessions under other ids."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from bench.progress import report_progress
from telemetry.generator import GeneratorPlan, generate

if TYPE_CHECKING:
    from pathlib import Path

_FIRST: Final = date(2026, 11, 1)
_MOST_A_DAY: Final = 500_000
_OBJECTS: Final = 10
_LEVEL: Final = 1
_SESSION: Final = b'"sid":"'


def write_download(path: Path, events: int) -> None:
    """Write a download of so many events, rounded up to whole days, with a manifest."""
    a_day = min(events, _MOST_A_DAY)
    plan = GeneratorPlan(
        seed=25, days=(_FIRST,), channels=3, partners=3, tags=3, events_per_day=a_day, objects_per_day=_OBJECTS
    )
    objects = {raw.name: raw.data for raw in generate(plan)}
    days = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as download:
        for number in range(-(-events // a_day)):
            day = _FIRST + timedelta(days=number)
            archive, told = _day(day, objects)
            download.writestr(f"{day}.zip", archive)
            days.append(told)
            report_progress(f"{day} is made, with {a_day} events")
        download.writestr("manifest.json", json.dumps({"request": {}, "days": days}))


def _day(day: date, objects: dict[str, bytes]) -> tuple[bytes, dict[str, object]]:
    """Return the zip of a day, and what the manifest says of it."""
    size, events, sources = 0, 0, []
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as packed:
        for name, data in objects.items():
            lines = gzip.decompress(data).replace(_SESSION, _SESSION + day.isoformat().encode())
            packed.writestr(name.removesuffix(".gz"), lines)
            found = lines.count(b"\n")
            sources.append({"object": name, "events": found})
            size, events = size + len(lines), events + found
    archive = buffer.getvalue()
    told = {"day": str(day), "state": "ok", "events": events, "bytes": size, "size": len(archive)}
    return archive, {**told, "sha256": hashlib.sha256(archive).hexdigest(), "sources": sources}
