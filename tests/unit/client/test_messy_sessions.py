"""Two readings that share no code agree about messy telemetry: any events of few sessions in any order."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.independent_sessions import count_lines
from tests.support.read_sessions import read_sessions

NOON = 1793534400000
OLD = (
    "GE_GENIE_START GE_GENIE_END GE_SESSION_START GE_SESSION_END GE_LAUNCH_GAME GE_GAME_END GE_INTERACT OE_START OE_END"
    " OE_NAVIGATE CP_SESSION_START CP_IMPRESSION CE_START CE_END BE_JOB_START BE_JOB_END ME_SUMMARY"
)
ids = st.sampled_from(["", "1", "2"])
times = st.integers(NOON, NOON + 6)
latest = st.builds(
    lambda eid, kind, about, sid, did, when, mid: {
        "eid": eid,
        "ets": when,
        "ver": "3.0",
        "mid": mid,
        "edata": {"type": kind, "pageid": about},
        "object": {"id": about},
        "context": {"sid": sid, "did": did},
    },
    st.sampled_from(["START", "END", "START", "END", "IMPRESSION", "LOG"]),
    st.sampled_from(["app", "session", "player", "content", "editor", "contentplay", "qr", ""]),
    ids,
    ids,
    ids,
    times,
    ids,
)
services = st.builds(
    lambda state, sid, when: {
        "eid": "AUDIT",
        "ets": when,
        "object": {"type": "Service"},
        "edata": {"state": state},
        "context": {"sid": sid, "pdata": {"id": "p"}},
    },
    st.sampled_from(["Ready", "Stopped", "Busy"]),
    ids,
    times,
)
older = st.builds(
    lambda eid, about, sid, did, when: {
        "eid": eid,
        "ets": when,
        "ver": "2.0",
        "edata": {"eks": {"gid": about, "type": "SHOW", "stageid": about, "stageto": about, "pageid": about}},
        "gdata": {"id": about},
        **({"context": {"sid": sid, "content_id": about}} if eid[0] == "C" else {"sid": sid, "did": did}),
    },
    st.sampled_from(OLD.split()),
    ids,
    ids,
    ids,
    times,
)
odd = st.sampled_from(
    [b"", b" ", b"junk", b"[]", b'{"eid":"START"}', b'{"eid":"LOG","ts":"2026-11-01T17:30:00+05:30"}']
)
lines = st.one_of(*(kind.map(lambda event: json.dumps(event).encode()) for kind in (latest, services, older)), odd)


def scans(*whats: str) -> list[bytes]:
    """Make parts of a type that each object has for itself: `+1` begins that of object 1, `-1` ends it."""
    said = [{"eid": "START" if what[0] == "+" else "END", "object": {"id": what[1:]}} for what in whats]
    times = enumerate(said, start=NOON)
    return [json.dumps({**found, "ets": when, "edata": {"type": "qr"}}).encode() for when, found in times]


@example(scans("+1", "+", "-1", "-2", "-"), 50)
@example(scans("+1", "+2", "+", "-2", "-1", "-3"), 50)
@given(st.lists(lines, max_size=40), st.integers(1, 50))
def test_two_readings_agree_about_any_events(found: list[Any], run_events: int) -> None:
    content = b"\n".join(found)
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(content)
        file.flush()
        ours = read_sessions(Path(file.name), run_events)
    assert ours == +count_lines(content)
