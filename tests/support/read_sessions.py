"""The sessions that the partners' package reads, as numbers that a second reading can be compared with."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from telemetry_exhaust.sessions.parts import LOOSE, UNFINISHED
from telemetry_exhaust.sessions.reading import Reading
from telemetry_exhaust.sessions.trees import NO_END, NO_START

if TYPE_CHECKING:
    from pathlib import Path


def read_sessions(path: Path, run_events: int) -> Counter[tuple[str, ...]]:
    """Count what is read of a file; what the deviations say is among it."""
    counts: Counter[tuple[str, ...]] = Counter()
    reading = Reading([path], run_events=run_events)
    told = list(reading.read())
    unfinished = 0
    for tree, deviations in reading.trees(keep=False):
        told += deviations
        for part in tree.walk():
            counts["screens",] += part.screens
            if part.state == LOOSE:
                counts["loose",] += part.own_events
            else:
                counts[part.type, part.state] += 1
                unfinished += part.state == UNFINISHED
    kinds = Counter(deviation.kind for deviation in told)
    assert kinds[NO_END] == unfinished
    for kind in ("unreadable", "untimed", "repeated"):
        counts[kind,] += kinds[kind]
    for deviation in told:
        if deviation.kind == NO_START:
            kind = deviation.says.removeprefix("END of ").removesuffix(" without a START").split(" of ")[0]
            counts["orphaned", kind] += 1
    counts["events",], counts["derived",] = reading.events, reading.derived
    return +counts
