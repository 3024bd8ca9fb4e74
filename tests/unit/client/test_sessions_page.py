"""The drawings of docs/sessions.md are what `exhaust sessions` draws of the four workflows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from client_support.commands import run
from telemetry_exhaust.parser import build_parser
from telemetry_exhaust.sessions.rows import COLUMNS

from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Event, Owner, Session
from telemetry.workflows.web_portal import web_portal
from tests.support.doc_examples import blocks

PAGE = "docs/sessions.md"


@pytest.mark.parametrize(
    ("heading", "workflow", "seed"),
    [
        ("### Mobile app", mobile_app, 33),
        ("### Web portal", web_portal, 264),
        ("### Content editor", content_editor, 15),
        ("### Backend services", backend_services, 21),
    ],
)
def test_the_page_shows_what_the_command_draws(
    heading: str, workflow: Callable[[Session], Iterator[Event]], seed: int, tmp_path: Path
) -> None:
    session = Session(Owner("in.example.maple"), started=datetime(2026, 11, 1, 10, tzinfo=UTC), seed=str(seed))
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in workflow(session)))
    ran = run("sessions", str(events), "--format", "tree", "-o", str(tmp_path / "drawn"))
    assert (ran.exit_code, ran.output) == (0, "")
    (shown, *_) = blocks(PAGE, "text", after=heading)
    assert (tmp_path / "drawn").read_text() == f"{shown.rstrip()}\n\n"


def test_the_page_names_every_column_and_its_examples_are_commands() -> None:
    page = Path(__file__).parents[3].joinpath(PAGE).read_text()
    assert [name for name in COLUMNS if f"`{name}`" not in page] == []
    (commands, *_) = blocks(PAGE, "sh", after="# Your data as sessions")
    for line in commands.splitlines():
        build_parser().parse_args(line.partition("#")[0].split()[1:])
