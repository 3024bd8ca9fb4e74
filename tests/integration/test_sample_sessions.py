"""The sessions of real telemetry, as the partners' package reads them, beside a second reading that shares no code."""

from collections import Counter
from pathlib import Path

from tests.support.independent_sessions import Counts, count_file, sample_files
from tests.support.read_sessions import read_sessions


def test_real_sessions_are_counted_alike_by_two_readings(samples: Path) -> None:
    files = list(sample_files(samples))
    assert len(files) >= 20
    every: Counts = Counter()
    for path in files:
        ours, theirs = read_sessions(path, run_events=5_000), count_file(path)
        assert ours == +theirs, path.name
        every += ours
    print(f"\n{len(files)} files: {dict(every)}")
    assert every["app", "finished"] > 100
    assert every["session", "finished"] > 30
    assert every["player", "finished"] > 100
    assert every["editor", "finished"] >= 1
