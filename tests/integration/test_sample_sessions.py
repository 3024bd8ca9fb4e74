"""The sessions of real telemetry, as the partners' package reads them, beside a second reading that shares no code."""

from collections import Counter
from pathlib import Path

from telemetry_exhaust.sessions.parts import LOOSE
from telemetry_exhaust.sessions.reading import Reading
from telemetry_exhaust.sessions.trees import NO_END, NO_START

from tests.support.independent_sessions import Counts, count_sessions, sample_files


def read(path: Path) -> Counts:
    counts: Counts = Counter()
    reading = Reading([path], run_events=5_000)
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
                unfinished += part.state == "unfinished"
    kinds = Counter(deviation.kind for deviation in told)
    assert kinds[NO_END] == unfinished
    for kind in ("unreadable", "untimed", "repeated"):
        counts[kind,] += kinds[kind]
    for deviation in told:
        if deviation.kind == NO_START:
            counts[
                "orphaned", deviation.says.removeprefix("END of ").split(" of ")[0].removesuffix(" without a START")
            ] += 1
    counts["events",], counts["derived",] = reading.events, reading.derived
    return +counts


def test_real_sessions_are_counted_alike_by_two_readings(samples: Path) -> None:
    files = list(sample_files(samples))
    assert len(files) >= 20
    every: Counts = Counter()
    for path in files:
        ours, theirs = read(path), +count_sessions(path)
        assert ours == theirs, path.name
        every += ours
    print(f"\n{len(files)} files: {dict(every)}")
    assert every["app", "finished"] > 100
    assert every["session", "finished"] > 30
    assert every["player", "finished"] > 100
    assert every["editor", "finished"] >= 1
