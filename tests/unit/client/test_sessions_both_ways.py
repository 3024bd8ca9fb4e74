"""The reader of sessions reads back what the generator's workflows write: every part, every event, in every version."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from telemetry_exhaust.sessions.parts import FINISHED, LOOSE, WITHOUT_END, Part, workflow_of
from telemetry_exhaust.sessions.reading import Reading
from telemetry_exhaust.sessions.trees import REPEATED

from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Event, Owner, Session
from telemetry.workflows.versions import VERSIONS, in_version
from telemetry.workflows.web_portal import web_portal

Workflow = Callable[[Session], Iterator[Event]]

WORKFLOWS: dict[str, Workflow] = {
    "mobile app": mobile_app,
    "web portal": web_portal,
    "content editor": content_editor,
    "backend services": backend_services,
}
STARTED = datetime(2026, 11, 1, 10, tzinfo=UTC)
OWNER = Owner("in.example.a", ("org.example.partner.p",), ("t1",))

runs = st.tuples(st.sampled_from(sorted(WORKFLOWS)), st.integers(0, 10**6), st.sampled_from(VERSIONS))


def written(name: str, seed: int) -> list[Any]:
    """Run a workflow; its events in version 3.0."""
    session = Session(OWNER, started=STARTED + timedelta(seconds=seed % 999), seed=f"{name} {seed}")
    return [orjson.loads(orjson.dumps(event)) for event in WORKFLOWS[name](session)]


def expected(name: str, events: list[Any]) -> dict[str, Any]:
    """Follow START and END of one run, which are whole, and the AUDIT of a service."""
    top: dict[str, Any] = {"items": []}
    stack = [top]
    before = None
    for event in events:
        edata, mid = event["edata"], event["mid"]
        service = edata.get("state") if event["object"].get("type") == "Service" and event["eid"] == "AUDIT" else None
        if event["eid"] == "AUDIT" and event["object"].get("type") == "User":
            before = mid
        elif event["eid"] == "START" or service == "Ready":
            kind = "service" if service else edata["type"]
            part = {"type": kind, "start": mid, "before": before, "items": [], "end": None, "said": None}
            part |= {"state": WITHOUT_END, "screens": 0, "about": "" if service else event["object"].get("id", "")}
            before = None
            stack[-1]["items"].append(part)
            stack.append(part)
        elif event["eid"] == "END" or service == "Stopped":
            said = None if service else pytest.approx(edata["duration"])
            stack.pop().update(state=FINISHED, end=mid, said=said)
        else:
            stack[-1]["items"].append(mid)
            stack[-1]["screens"] += event["eid"] == "IMPRESSION"
    (root,) = top["items"]
    return {"workflow": name, **root}


def read_back(part: Part, mids: dict[int, str]) -> dict[str, Any]:
    assert part.start is not None
    assert part.items is not None
    assert part.own_events == sum(not isinstance(item, Part) for item in part.items) + sum(
        event is not None for event in (part.start, part.end, part.before)
    )
    return {
        "type": part.type,
        "start": mids[part.start.place],
        "before": mids[part.before.place] if part.before else None,
        "items": [read_back(item, mids) if isinstance(item, Part) else mids[item.place] for item in part.items],
        "end": mids[part.end.place] if part.end else None,
        "said": part.end.said if part.end else None,
        "state": part.state,
        "screens": part.screens,
        "about": part.about,
    }


def read(files: list[list[Any]], folder: Path, run_events: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Write events into files, and read them: the trees, and the kinds of the deviations."""
    mids = {}
    for number, events in enumerate(files):
        (folder / f"{number}.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
        mids.update({(number << 40) + line: event["mid"] for line, event in enumerate(events, start=1)})
    reading = Reading([folder], run_events=run_events)
    deviations = [deviation.kind for deviation in reading.read()]
    trees = []
    for tree, told in reading.trees(keep=True):
        assert tree.state != LOOSE
        deviations += [deviation.kind for deviation in told]
        trees.append({"workflow": workflow_of(tree), **read_back(tree, mids)})
    return trees, deviations


@given(st.lists(runs, min_size=1, max_size=6, unique=True), st.integers(1, 3), st.integers(1, 200), st.randoms())
def test_what_the_workflows_write_is_read_back_exactly(
    wanted: list[tuple[str, int, str]], files: int, run_events: int, random: Random
) -> None:
    trees, received = [], []
    for name, seed, version in wanted:
        events = written(name, seed + int(version[0]) * 10**7 + int(version[2]) * 10**8)
        older = list(in_version(iter(events), version))
        kept = {event["mid"] for event in older}
        trees.append(expected(name, [event for event in events if event["mid"] in kept]))
        received += older
    random.shuffle(received)
    with tempfile.TemporaryDirectory() as folder:
        found, deviations = read([received[at::files] for at in range(files)], Path(folder), run_events)
    assert sorted(found, key=lambda tree: tree["start"]) == sorted(trees, key=lambda tree: tree["start"])
    assert deviations == []


@given(runs, st.integers(1, 3))
def test_what_comes_twice_is_told_and_not_counted(run: tuple[str, int, str], times: int) -> None:
    name, seed, version = run
    events = list(in_version(iter(written(name, seed)), version))
    with tempfile.TemporaryDirectory() as folder:
        once, _ = read([events], Path(folder), 100)
        again, deviations = read([events] * (times + 1), Path(folder), 100)
    assert again == once
    assert deviations == [REPEATED] * len(events) * times


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_every_workflow_is_read_in_every_version(name: str, version: str, tmp_path: Path) -> None:
    for seed in range(8):
        events = written(name, seed)
        older = list(in_version(iter(events), version))
        assert {event["ver"] for event in older} == {version}
        kept = {event["mid"] for event in older}
        assert [event["eid"] for event in events if event["mid"] not in kept] in (
            [],
            ["METRICS"] * (len(events) - len(older)),
        )
        trees, deviations = read([older], tmp_path, 1000)
        assert trees == [expected(name, [event for event in events if event["mid"] in kept])]
        assert deviations == []
