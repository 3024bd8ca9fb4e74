"""The actions of the console on real servers: a result for each item, and a row of the audit that names the person."""

from __future__ import annotations

import asyncio
import html
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from deploy.local.folder import Folder
from deploy.local.servers import choose_servers
from exhaust.domain.dead_letters import LetterState
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import open_database
from exhaust.postgres.dead_letters import find_letters
from exhaust.process.health import Health
from schemas.events import TOPIC_COMPLETIONS
from services.console.letter_index import keep_index
from tests.integration.conftest import PARTNER, within
from tests.integration.operations.conftest import letters, reader
from tests.support.console_app import ASHA, BEHIND_PROXY, Person, open_console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from aiohttp import ClientResponse
    from pydantic import SecretStr

    from exhaust.postgres.database import Database
    from tests.integration.conftest import RequestFactory
    from tests.integration.operations.letters import Letters
    from tests.support.console_app import Client
    from tests.support.kafka_cluster import KafkaTestSettings

__all__ = ["letters", "reader"]  # fixtures

REASON: Final = "the <b>object</b> was replaced"
ACTOR: Final = "operator/exhaust_operator/asha"
UNREADABLE: Final = "SOURCE_OBJECT_UNREADABLE"
MANY: Final = 1000
MANY_WITHIN_S: Final = 30
HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass(frozen=True)
class Acting:
    """A console whose roles are the stack's own, and the tables behind it."""

    asha: Person
    owner: Database
    requests: RequestFactory

    async def failed(self, count: int = 1, broken: str = "raw/1") -> list[UUID]:
        user_id = await self.requests.user()
        ids = [await self.requests.request(user_id=user_id, waiting=False) for _ in range(count)]
        await self.owner.fetch(
            "UPDATE requests SET state = 'failed', ended_at = now(), outcome = $2 WHERE request_id = ANY($1)",
            ids,
            {"code": UNREADABLE, "message": "x", "object": broken},
        )
        return ids

    async def states(self) -> dict[UUID, tuple[str, int]]:
        rows = await self.owner.fetch("SELECT request_id, state, attempt FROM requests")
        return {row["request_id"]: (row["state"], row["attempt"]) for row in rows}

    async def acts(self) -> list[tuple[str, str, str, str]]:
        entries = await find_audit_entries(self.owner, AuditFilter(limit=10_000))
        return [(entry.actor, entry.action, entry.subject, entry.detail.get("reason", "")) for entry in entries]


@pytest.fixture
def dsns(servers_folder: Path, schema: str) -> tuple[SecretStr, SecretStr]:
    """The database as the role of actions, and as the console's own."""
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    return within(schema, chosen.postgres_operator or ""), within(schema, chosen.postgres_console)


@pytest.fixture
async def client(
    dsns: tuple[SecretStr, SecretStr], database: Database, kafka_settings: KafkaTestSettings
) -> AsyncIterator[Client]:
    del database  # by now its tables are empty
    operator, console = dsns
    async with open_console(BEHIND_PROXY, operator_dsn=operator, console_dsn=console, kafka=kafka_settings) as opened:
        yield opened


@pytest.fixture
def acting(client: Client, owner_database: Database, request_factory: RequestFactory) -> Acting:
    return Acting(Person(client, ASHA), owner_database, request_factory)


async def told(answer: ClientResponse) -> dict[str, Any]:
    assert answer.status == 200, await answer.text()
    document: dict[str, Any] = await answer.json()
    return document


async def test_a_thousand_are_retried_at_once(acting: Acting) -> None:
    ids = await acting.failed(MANY)
    began = time.monotonic()
    document = await told(await acting.asha.send("retry", targets=[str(one) for one in ids], reason=REASON))
    took = time.monotonic() - began
    print(f"\n{MANY} retries through the console: {took:.1f} s")
    assert (document["done"], document["refused"], document["left"], document["stopped"]) == (MANY, 0, [], "")
    assert [result["item"] for result in document["results"]] == [f"request/{one}" for one in ids]
    acts = await acting.acts()
    assert set(acts) == {(ACTOR, Action.RETRY, f"request/{one}", REASON) for one in ids}
    assert len(acts) == MANY
    assert took < MANY_WITHIN_S


async def test_a_form_shows_what_it_would_do_and_its_second_form_does_it_once(acting: Acting) -> None:
    [failed, other] = await acting.failed(2)
    page = await acting.asha.submit("retry", targets=f"{failed}\n{other}", reason=REASON)
    text = await page.text()
    assert page.status == 200
    assert "what would be done" in text
    assert html.escape(REASON) in text
    assert REASON not in text
    assert await acting.acts() == []
    assert set((await acting.states()).values()) == {("failed", 1)}
    fields = [(name, html.unescape(value)) for name, value in HIDDEN.findall(text)]
    assert sorted(name for name, _ in fields) == ["confirmed", "csrf_token", "reason", "targets", "targets"]
    for done, refused in ((2, 0), (0, 2)):
        again = await acting.asha.client.post(
            "/actions/retry", data=fields, headers=ASHA | {"Accept": "application/json"}
        )
        document = await told(again)
        assert (document["done"], document["refused"], document["dryrun"]) == (done, refused, False)
    assert set((await acting.states()).values()) == {("submitted", 2)}
    assert {(actor, reason) for actor, _, _, reason in await acting.acts()} == {(ACTOR, REASON)}
    assert len(await acting.acts()) == 2


async def test_all_of_a_cause_are_retried_and_no_others(acting: Acting) -> None:
    mine, others = await acting.failed(3, "raw/1"), await acting.failed(2, "raw/2")
    tried = await told(
        await acting.asha.send("retry-cause", code=UNREADABLE, object="raw/1", reason=REASON, dryrun=True)
    )
    assert (tried["done"], tried["dryrun"]) == (3, True)
    assert await acting.acts() == []
    done = await told(await acting.asha.send("retry-cause", code=UNREADABLE, object="raw/1", reason=REASON))
    assert (done["done"], done["more"]) == (3, False)
    states = await acting.states()
    assert {states[one] for one in mine} == {("submitted", 2)}
    assert {states[one] for one in others} == {("failed", 1)}
    unknown = await acting.asha.send("retry-cause", code=UNREADABLE, dataset="no-such", reason=REASON)
    assert unknown.status == 400


async def test_some_are_cancelled_and_each_has_its_result(acting: Acting) -> None:
    waiting, unknown = await acting.requests.request(), uuid4()
    document = await told(
        await acting.asha.send("cancel", targets=[str(waiting), str(unknown), str(waiting)], reason=REASON)
    )
    assert [(result["item"], result["done"]) for result in document["results"]] == [
        (f"request/{waiting}", True),
        (f"request/{unknown}", False),
    ]
    assert await acting.acts() == [(ACTOR, Action.CANCEL, f"request/{waiting}", REASON)]


async def test_what_is_paused_is_told_and_resumed(acting: Acting) -> None:
    assert (await told(await acting.asha.send("pause", partner=PARTNER, reason=REASON)))["done"] == 1
    assert (await told(await acting.asha.send("pause", partner=PARTNER, reason=REASON)))["refused"] == 1
    [pause] = (await told(await acting.asha.get("/actions")))["pauses"]
    assert (pause["named"], pause["by"], pause["reason"]) == (PARTNER, ACTOR, REASON)
    text = await (await acting.asha.get("/actions", Accept="text/html")).text()
    assert html.escape(REASON) in text
    assert REASON not in text
    assert (await told(await acting.asha.send("resume", resource=pause["name"], reason=REASON)))["done"] == 1
    assert [action for _, action, _, _ in await acting.acts()] == [Action.RESUME, Action.PAUSE]


async def test_letters_are_redriven_once(acting: Acting, letters: Letters) -> None:
    await letters.bury(*(letters.record(number) for number in range(3)))
    places = [str(place) for place in await letters.places()]
    cause: dict[str, object] = {"code": "UNKNOWN_REQUEST", "source": letters.source}
    done = await told(await acting.asha.send("redrive", reason=REASON, **cause))
    assert (done["done"], done["refused"]) == (3, 0)
    again = await told(await acting.asha.send("redrive", reason=REASON, targets=places))
    assert (again["done"], again["refused"]) == (0, 3)
    assert len(await letters.on(TOPIC_COMPLETIONS)) == 3
    assert {(actor, action, reason) for actor, action, _, reason in await acting.acts()} == {
        (ACTOR, Action.REDRIVE, REASON)
    }
    assert len(await acting.acts()) == 3


async def test_bytes_are_shown_as_text_and_the_audit_has_who_looked_and_why(acting: Acting, letters: Letters) -> None:
    await letters.bury(letters.record(1, headers=(("mark", b"<script>\x1b[2J\xe2\x80\xae"),)))
    [place] = [str(place) for place in await letters.places()]
    tried = await told(await acting.asha.send("show-payload", targets=[place], reason=REASON, dryrun=True))
    assert tried["done"] == 1
    assert await acting.acts() == []
    shown = await told(await acting.asha.send("show-payload", targets=[place], reason=REASON))
    assert (shown["letter"], shown["cut"]) == (place, False)
    assert shown["value"].startswith('{"requestid": ')
    headers = {header["name"]: header["value"] for header in shown["headers"]}
    assert headers["mark"] == "<script>\\x1b[2J\\u202e"
    assert await acting.acts() == [(ACTOR, Action.SHOW_LETTER, f"dead-letter/{place}", REASON)]
    text = await (await acting.asha.submit("show-payload", targets=place, reason=REASON)).text()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text.replace("<script src=", "")
    nothing = await acting.asha.send("show-payload", targets=["0/999999999"], reason=REASON)
    assert nothing.status == 404


async def test_nothing_is_changed_by_a_get(acting: Acting) -> None:
    await acting.failed()
    before = await acting.states()
    for name in ("retry", "retry-cause", "cancel", "pause", "resume", "redrive", "show-payload"):
        answer = await acting.asha.get(f"/actions/{name}?code={UNREADABLE}&reason=x&confirmed=yes")
        assert answer.status == 405
    assert (await acting.states(), await acting.acts()) == (before, [])


async def test_the_console_that_leads_keeps_the_index(
    dsns: tuple[SecretStr, SecretStr], owner_database: Database, kafka_settings: KafkaTestSettings, letters: Letters
) -> None:
    health, leads = Health(), asyncio.Event()
    async with open_database(dsns[1], pool_size=2) as console:
        loop = asyncio.create_task(keep_index(health, console, kafka_settings, leads))
        await letters.bury(letters.record(1))
        [place] = await letters.places()
        leads.set()
        while not (found := await find_letters(owner_database, [place])):
            assert not loop.done()
            await asyncio.sleep(0.05)
        assert found[place].state is LetterState.WAITING
        health.stop.set()
        await loop
