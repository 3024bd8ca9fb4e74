import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson
import pytest

from telemetry.ownership import is_event, ownership
from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Event, Owner, Session
from telemetry.workflows.web_portal import web_portal

Workflow = Callable[[Session], Iterator[Event]]

OWNER = Owner("in.example.a", ("org.example.partner.p", "org.example.partner.q"), ("t1", "t2"))
STARTED = datetime(2026, 11, 1, 10, tzinfo=UTC)
WORKFLOWS: tuple[Workflow, ...] = (mobile_app, web_portal, content_editor, backend_services)
SEEDS = range(25)


def run(workflow: Workflow, seed: int, owner: Owner = OWNER) -> list[Event]:
    session = Session(owner, started=STARTED, seed=str(seed))
    # Through JSON, as a reader sees it.
    return [orjson.loads(orjson.dumps(event)) for event in workflow(session)]


def said(event: Event, *keys: str) -> object:
    """Read a member of a member of an event."""
    value: object = event
    for key in keys:
        assert isinstance(value, dict)
        value = value.get(key)
    return value


def spans(events: list[Event]) -> tuple[list[str], list[str]]:
    """Follow START and END: the path of types at each START, and what stays open. Fails on an END of another type."""
    open_types: list[str] = []
    paths = []
    for event in events:
        kind = str(said(event, "edata", "type"))
        if event["eid"] == "START":
            open_types.append(kind)
            paths.append("/".join(open_types))
        elif event["eid"] == "END":
            assert open_types.pop() == kind
    return paths, open_types


def order(events: list[Event], *wanted: str) -> list[str]:
    return [str(event["eid"]) for event in events if event["eid"] in wanted]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_event_is_framed_by_its_session(workflow: Workflow) -> None:
    events = run(workflow, 1)
    for event in events:
        assert is_event(event)
        assert list(event) == ["eid", "ets", "ver", "mid", "actor", "context", "object", "edata", "tags"]
        assert event["ver"] == "3.0"
        context = event["context"]
        assert isinstance(context, dict)
        assert sorted(context) == ["cdata", "channel", "did", "env", "pdata", "rollup", "sid"]
    for place in ("sid", "did"):
        assert len({said(event, "context", place) for event in events}) == 1
    assert len({event["mid"] for event in events}) == len(events)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_event_is_its_owners(workflow: Workflow) -> None:
    for event in run(workflow, 1):
        owner = ownership(event, default_channel="unused")
        assert owner.channel == OWNER.channel
        assert owner.partners == set(OWNER.partners)
        assert owner.tags == set(OWNER.tags)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_device_clock_only_goes_forward(workflow: Workflow) -> None:
    for seed in SEEDS:
        times = [event["ets"] for event in run(workflow, seed)]
        assert times == sorted(set(map(int, map(str, times))))
        assert int(str(times[0])) > STARTED.timestamp() * 1000


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_same_seed_makes_the_same_events(workflow: Workflow) -> None:
    assert run(workflow, 7) == run(workflow, 7) != run(workflow, 8)


@pytest.mark.parametrize(
    ("workflow", "digest"),
    [
        (mobile_app, "11cde6125972f8b4fe65abe8621a11c0e32d63683dfec74e5ed77b3002ec1f32"),
        (web_portal, "515112a165573813db6ed15b884166cbb8b557ed2f5d2201a8094d6957f4b785"),
        (content_editor, "0ac2ba14e2a27a1b1095547dd04a54903c663de8f6b2fac1ed44e9353850ff41"),
        (backend_services, "f171b27ca5e67c98e088285c706f990bfb3d19a67daf49f64a48269ef23a4ff4"),
    ],
)
def test_the_events_stay_what_they_are(workflow: Workflow, digest: str) -> None:
    """The generator promises the same lines for the same plan."""
    events = [run(workflow, seed, owner) for seed in SEEDS for owner in (OWNER, Owner(""))]
    assert hashlib.sha256(orjson.dumps(events)).hexdigest() == digest


def test_a_session_of_nobody_names_nobody() -> None:
    event = run(web_portal, 1, Owner(""))[0]
    owner = ownership(event, default_channel="in.default")
    assert owner.channel == "in.default"
    assert not owner.partners | owner.partner_resources | owner.tags
    assert said(event, "context", "rollup") == {}


def test_the_mobile_app_holds_a_session_that_holds_players() -> None:
    for seed in SEEDS:
        events = run(mobile_app, seed)
        paths, still_open = spans(events)
        assert still_open == []
        assert paths[:2] == ["app", "app/session"]
        assert set(paths[2:]) == {"app/session/player"}
        assert events[-1]["eid"] == "END"


def test_a_player_opens_on_a_touch_and_leads_back_to_a_page() -> None:
    for seed in SEEDS:
        events = run(mobile_app, seed)
        eids = [str(event["eid"]) for event in events]
        for place, event in enumerate(events):
            if event["eid"] == "START" and said(event, "edata", "type") == "player":
                assert eids[place - 1] == "INTERACT"
            if event["eid"] == "END" and said(event, "edata", "type") == "player":
                assert eids[place + 1] == "IMPRESSION"


def test_an_end_says_how_long_it_lasted() -> None:
    events = run(mobile_app, 3)
    last_player = max(i for i, e in enumerate(events) if e["eid"] == "END" and said(e, "edata", "type") == "player")
    first = max(i for i, e in enumerate(events[:last_player]) if e["eid"] == "START")
    lasted = int(str(events[last_player - 1]["ets"])) - int(str(events[first]["ets"]))
    assert said(events[last_player], "edata", "duration") == lasted / 1000


def test_the_portal_starts_a_session_and_never_ends_it() -> None:
    created = 0
    for seed in SEEDS:
        events = run(web_portal, seed)
        assert spans(events) == (["session"], ["session"])
        eids = order(events, "AUDIT", "START")
        assert eids in (["START"], ["AUDIT", "START"])
        created += eids[0] == "AUDIT"
        assert set(order(events[len(eids) :], "IMPRESSION", "INTERACT")) >= {"IMPRESSION"}
        assert events[len(eids)]["eid"] == "IMPRESSION"
    assert 0 < created < len(SEEDS)


def test_the_editor_takes_content_from_draft_to_review() -> None:
    for seed in SEEDS:
        events = run(content_editor, seed)
        assert spans(events) == (["session", "session/editor"], ["session"])
        assert [event["eid"] for event in events[:5]] == ["START", "IMPRESSION", "INTERACT", "AUDIT", "START"]
        ending = ["INTERACT", "ACCESS", "INTERACT", "AUDIT", "END"]
        assert [event["eid"] for event in events[-5:]] == ending
        states = [said(event, "edata", "state") for event in events if event["eid"] == "AUDIT"]
        assert states == ["Draft", "Review"]
        assets = order(events, "SEARCH", "PLUGIN_LIFECYCLE")
        assert assets[:2] == ["SEARCH", "PLUGIN_LIFECYCLE"]


def test_only_an_asset_that_was_added_is_removed() -> None:
    removed = 0
    for seed in SEEDS:
        added: list[object] = []
        for event in run(content_editor, seed):
            if event["eid"] == "PLUGIN_LIFECYCLE" and said(event, "edata", "type") == "add":
                added.append(said(event, "edata", "objectid"))
            elif event["eid"] == "PLUGIN_LIFECYCLE":
                assert said(event, "edata", "objectid") == added[-1]
                removed += 1
    assert removed


def test_a_service_is_ready_first_and_stopped_last() -> None:
    for seed in SEEDS:
        events = run(backend_services, seed)
        assert said(events[0], "edata", "state") == "Ready"
        assert said(events[-1], "edata", "state") == "Stopped"
        assert order(events, "AUDIT") == ["AUDIT", "AUDIT"]
        assert {said(event, "actor", "type") for event in events} == {"System"}
        assert "METRICS" in order(events, "METRICS")


def test_a_service_logs_in_the_context_of_the_request_before() -> None:
    logged = 0
    for seed in SEEDS:
        request: object = None
        for event in run(backend_services, seed):
            cdata = said(event, "context", "cdata")
            assert isinstance(cdata, list)
            if event["eid"] == "ACCESS":
                request = cdata[0]
                assert cdata[0]["type"] == "Request"
            elif event["eid"] == "LOG":
                assert cdata[0] == request
                logged += 1
    assert logged
