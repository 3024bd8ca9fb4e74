"""The workflows in older versions: their events have the owners, the session and the time of those in 3.0."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson
import pytest

from telemetry.event_metadata import event_time, message_id, schema_version
from telemetry.ownership import is_event, ownership
from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Event, Owner, Session
from telemetry.workflows.versions import VERSIONS, in_version
from telemetry.workflows.web_portal import web_portal

Workflow = Callable[[Session], Iterator[Event]]

OWNER = Owner("in.example.a", ("org.example.partner.p", "org.example.partner.q"), ("t1", "t2"))
STARTED = datetime(2026, 11, 1, 10, tzinfo=UTC)
WORKFLOWS: tuple[Workflow, ...] = (mobile_app, web_portal, content_editor, backend_services)


def run(workflow: Workflow, seed: int) -> list[Event]:
    return list(workflow(Session(OWNER, started=STARTED, seed=str(seed))))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_an_event_of_any_version_has_the_same_owners_time_and_id(workflow: Workflow, version: str) -> None:
    for seed in range(5):
        made = {message_id(event): event for event in run(workflow, seed)}
        for event in map(orjson.loads, map(orjson.dumps, in_version(iter(made.values()), version))):
            assert is_event(event)
            owner = ownership(event, default_channel="in.default")
            assert owner.partners == set(OWNER.partners)
            assert owner.tags == (set() if version == "1.0" else set(OWNER.tags))
            assert owner.channel == ("in.default" if version == "1.0" else OWNER.channel)
            assert schema_version(event) == version
            assert event_time(event) == event_time(made[message_id(event)])


def test_the_newest_version_of_the_workflows_is_what_they_make() -> None:
    for workflow in WORKFLOWS:
        assert list(in_version(iter(run(workflow, 1)), "3.0")) == run(workflow, 1)


def test_older_programs_have_events_of_their_own() -> None:
    eids = {str(event["eid"]) for workflow in WORKFLOWS for event in in_version(iter(run(workflow, 3)), "2.0")}
    assert {eid.partition("_")[0] for eid in eids} == {"GE", "OE", "CP", "CE", "BE"}
