"""Downloads as the platform makes them, from events that follow from their day."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from datetime import date, timedelta


def event_lines(day: date, events: int) -> bytes:
    """Make events of a day: mixed versions, of which some have tags as strings and others as objects."""
    chance = random.Random(day.toordinal())
    lines = []
    for number in range(events):
        ets = 1793493000000 + number
        if number % 3 == 0:
            event = {"eid": "GE_START", "ver": "2.2", "ets": ets, "channel": "in.test", "tags": [{"genie": ["g1"]}]}
        else:
            context = {"channel": "in.test", "cdata": [{"type": "partner", "id": "org.test"}]}
            event = {"eid": "IMPRESSION", "ver": "3.0", "ets": ets, "context": context, "tags": ["t1", "é"]}
        event["mid"] = f"{day}-{number}-{chance.getrandbits(64):016x}"
        lines.append(json.dumps(event, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines).encode()


def day_zip(day: date, lines: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack the events of a day."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as packed:
        if lines:
            info = zipfile.ZipInfo(f"{day}-1793493000000.json", (day.year, day.month, day.day, 0, 0, 0))
            info.compress_type = method
            packed.writestr(info, lines)
    return buffer.getvalue()


def download(resource: str, first: date, last: date, *, tags: tuple[str, ...] = (), events: int = 20) -> bytes:
    """Make the download of a range of days, always the same for the same arguments."""
    days, described = [], []
    while first <= last:
        lines = event_lines(first, events)
        packed = day_zip(first, lines)
        days.append((first, packed))
        described.append(_described(first, lines, packed))
        first += timedelta(days=1)
    request = {"datasetid": "eks-consumption-raw", "resourceid": resource, "tags": sorted(tags)}
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_STORED) as outer:
        for day, packed in days:
            outer.writestr(zipfile.ZipInfo(f"{day}.zip"), packed)
        outer.writestr(zipfile.ZipInfo("manifest.json"), json.dumps({"request": request, "days": described}))
    return buffer.getvalue()


def _described(day: date, lines: bytes, packed: bytes) -> dict[str, object]:
    events = lines.count(b"\n")
    name = f"{day}-1793493000000.json"
    return {
        "day": str(day),
        "state": "ok" if events else "empty",
        "events": events,
        "bytes": len(lines),
        "size": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "sources": [{"object": f"{name}.gz", "member": name if events else None, "events": events}],
    }
