"""Requests, dead letters, days and audit as pages and JSON, seen with the console's own role."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from markupsafe import escape
from pydantic import SecretStr

from deploy.local.folder import Folder
from deploy.local.processes import Processes
from deploy.local.servers import choose_servers
from exhaust.domain.catalogue import load_catalogue
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.database import open_database
from services.console.stories.days import RawObjects
from services.console.stories.pages import Stories
from tests.integration.conftest import LONG_AGO, within
from tests.integration.console.conftest import MAX_IN_FLIGHT, open_pages
from tests.integration.operations.conftest import Operator, operator
from tests.support.console_app import ASHA, BROWSER, VIEWER
from tests.support.frozen import frozen
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from tests.integration.conftest import RequestFactory
    from tests.support.console_app import Client

__all__ = ["operator"]  # a fixture
MARKUP: Final = "<script>alert('maple')</script>"
CANARY: Final = "X-Amz-Signature=0123456789abcdef"
LIMIT_S: Final = 2.3  # a page takes 2 s at most; and a loaded machine
LETTER: Final = """
INSERT INTO dead_letters (kafka_partition, kafka_offset, written_at, topic, record_partition, record_offset,
    consumer_group, code, pointer, error, source, request_id, object, size, digest, truncated, replays)
VALUES (3, $1, now(), 'dataset.completions', 1, $1, 'status', 'UNKNOWN_REQUEST', '/requestid', 'nobody knows it',
    $2, $3, '', 100, '\\x00', '', $4)
"""


@pytest.fixture
def dsn(servers_folder: Path, schema: str) -> SecretStr:
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    return within(schema, chosen.postgres_console)


@asynccontextmanager
async def open_stories(dsn: SecretStr, raw: RawObjects) -> AsyncIterator[Client]:
    """The pages, where a proxy tells who calls."""
    async with (
        open_database(dsn, pool_size=4, connect=False) as console,
        open_pages(Stories(console, raw, load_catalogue(None), MAX_IN_FLIGHT)) as client,
    ):
        yield client


@pytest.fixture
async def client(
    dsn: SecretStr, database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> AsyncIterator[Client]:
    del database  # by now its tables are empty
    async with open_stories(dsn, RawObjects(objects, s3_settings.s3_raw_bucket)) as opened:
        yield opened


async def document(client: Client, path: str) -> Any:
    async with client.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def page(client: Client, path: str, who: dict[str, str] = VIEWER) -> str:
    async with client.get(path, headers=who | BROWSER) as answer:
        text = await answer.text()
        assert answer.status == 200, text
        assert MARKUP not in text
        return text


async def letter(owner: Database, number: int, *, request_id: object = None, replays: int = 0) -> None:
    await owner.fetch(LETTER, number, MARKUP, request_id, replays)


async def test_requests_are_those_of_the_command(client: Client, operator: Operator) -> None:
    waiting = await operator.requests.request(partner=MARKUP, days=3)
    [failed] = await operator.failed()
    told = await document(client, "/requests")
    assert told["requests"] == await operator.asks("requests")
    assert (told["counts"]["open"], told["counts"]["failed"], told["next"]) == (1, 1, None)
    assert [row["request"] for row in (await document(client, "/requests?state=failed"))["requests"]] == [str(failed)]
    assert (await document(client, "/requests?olderthan=1h"))["requests"] == []
    [row] = (await document(client, f"/requests?partner={MARKUP}&code="))["requests"]
    assert (row["request"], row["state"]) == (str(waiting), "waits")
    assert escape(MARKUP) in await page(client, "/requests")


async def test_a_request_is_explained_as_by_the_command(client: Client, operator: Operator) -> None:
    request_id = await operator.requests.request(partner=MARKUP, days=3, waiting=False)
    await letter(operator.owner, 7, request_id=request_id)
    async with operator.owner.transaction() as connection:
        await connection.execute(
            "INSERT INTO request_days VALUES ($1, 1, $2, 5, 1), ($1, 1, $2 + 1, 0, 0)", request_id, LONG_AGO
        )
        await connection.execute(
            "UPDATE requests SET state = 'failed', ended_at = now(), outcome = $2 WHERE request_id = $1",
            request_id,
            {"code": "SOURCE_OBJECT_UNREADABLE", "message": "x", "day": "2026-01-03"},
        )
        subject = f"request/{request_id}"
        await record_action(connection, actor="user/1", action=Action.SUBMIT, subject=subject, detail={"n": MARKUP})
    told, said = await document(client, f"/requests/{request_id}"), await operator.asks("explain", str(request_id))
    assert told.pop("unseen") == []
    changing = ("at", "sentence")  # with the time
    assert {name: told[name] for name in told if name not in changing} == {
        name: said[name] for name in said if name not in changing
    }
    assert [(day["state"], day["code"]) for day in told["days"]] == [
        ("finished", None),
        ("empty", None),
        ("failed", "SOURCE_OBJECT_UNREADABLE"),
    ]
    assert [act["action"] for act in told["audit"]] == ["submit"]
    text = await page(client, f"/requests/{request_id}")
    assert "failed 0 s ago in attempt 1 with SOURCE_OBJECT_UNREADABLE" in text
    assert "3/7" in text
    assert "/actions/retry" not in text
    assert "/actions/retry" in await page(client, f"/requests/{request_id}", ASHA)


async def test_dead_letters_are_grouped_and_then_listed_without_their_bytes(client: Client, operator: Operator) -> None:
    await letter(operator.owner, 1)
    await letter(operator.owner, 2, replays=3)
    [cause] = (await document(client, "/dead-letters"))["causes"]
    assert (cause["letters"], cause["waiting"], cause["source"]) == (2, 2, MARKUP)
    found = (await document(client, "/dead-letters/records?code=UNKNOWN_REQUEST&topic=dataset.completions"))["letters"]
    assert [(row["letter"], row["replays"]) for row in found] == [("3/2", 3), ("3/1", 0)]
    assert found[0]["refusal"].startswith("it was redriven 3 times already")
    assert (await document(client, "/dead-letters/records?code=UNKNOWN_REQUEST&exact=true"))["letters"] == []
    for path in ("/dead-letters", "/dead-letters/records"):
        assert escape(MARKUP) in await page(client, path)
        assert 'action="/actions/' not in await page(client, path)
        assert 'action="/actions/redrive"' in await page(client, path, ASHA)
    assert "redriven 3 times before" in await page(client, "/dead-letters/records")
    assert 'action="/actions/show-payload"' in await page(client, "/dead-letters/records", ASHA)


async def test_days_have_what_came_and_what_became_of_it(
    client: Client, operator: Operator, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    await objects.put(s3_settings.s3_raw_bucket, f"raw/{LONG_AGO}-1.json.gz", b"12345")
    await operator.requests.request(days=2)
    told = await document(client, f"/days?fromdate={LONG_AGO}&dataset=D002")
    first, second = told["days"]
    assert (first["day"], first["objects"], first["bytes"], first["open"]) == (LONG_AGO.isoformat(), 1, 5, 1)
    assert (second["objects"], second["open"]) == (0, 1)
    assert told["unseen"] == []
    assert "eks-consumption-raw" in await page(client, f"/days?fromdate={LONG_AGO}")


async def test_the_audit_says_who_did_what(client: Client, operator: Operator) -> None:
    async with operator.owner.transaction() as connection:
        for number in range(120):
            subject = f"request/{uuid4()}" if number else f"dead-letter/{MARKUP}"
            detail = {"reason": MARKUP}
            await record_action(connection, actor="user/7", action=Action.SUBMIT, subject=subject, detail=detail)
    told = await document(client, "/audit?actor=user/7&since=1h")
    rest = await document(client, f"/audit?next={told['next']}")
    numbers = [entry["number"] for entry in told["entries"] + rest["entries"]]
    assert (len(numbers), numbers) == (120, sorted(numbers, reverse=True))
    assert rest["entries"][-1]["subject"] == f"dead-letter/{MARKUP}"
    assert (await document(client, "/audit?action=erase"))["entries"] == []
    assert escape(MARKUP) in await page(client, "/audit")


@pytest.mark.parametrize(
    ("path", "pointers"),
    [
        ("/requests?state=lost&olderthan=soon&next=1", ["?next", "?olderthan", "?state"]),
        ("/requests?order=upwards", ["?order"]),
        ("/requests?limit=5", ["?limit"]),
        ("/requests?state=open&state=failed", ["?state"]),
        ("/requests/first", ["/request"]),
        ("/dead-letters?state=lost", ["?state"]),
        ("/dead-letters/records?request=1&next=x_1&exact=maybe", ["?exact", "?next", "?request"]),
        ("/days?fromdate=2026-02-30", ["?fromdate"]),
        ("/days?fromdate=2026-01-01&todate=2026-02-01", ["?fromdate"]),
        ("/audit?action=think&since=once&next=0", ["?action", "?next", "?since"]),
        ("/audit?actor=a%00b", ["?actor"]),
    ],
)
async def test_wrong_parameters_are_refused_by_name(client: Client, path: str, pointers: list[str]) -> None:
    async with client.get(path) as answer:
        problem = await answer.json(content_type=None)
        assert answer.status == 400, problem
    assert sorted(found["pointer"] for found in problem["errors"]) == pointers
    async with client.get(path, headers=BROWSER) as answer:
        assert (answer.status, answer.content_type) == (400, "text/html")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/requests", "Requests"),
        ("/requests/00000000-0000-4000-8000-000000000000", None),
        ("/dead-letters/records", "Dead letters, one by one"),
    ],
)
async def test_each_page_has_a_title_of_its_own(
    client: Client, operator: Operator, path: str, title: str | None
) -> None:
    request_id = await operator.requests.request()
    text = await page(client, path if title else f"/requests/{request_id}")
    assert f"<title>{title or f'Request {request_id}'} · " in text


async def test_an_unknown_request_is_a_404(client: Client) -> None:
    async with client.get(f"/requests/{uuid4()}") as answer:
        assert answer.status == 404


async def test_no_page_shows_a_secret(client: Client, operator: Operator, request_factory: RequestFactory) -> None:
    request_id = await request_factory.request(waiting=False)
    await operator.owner.fetch(
        "UPDATE requests SET state = 'complete', ended_at = now(), username = $3, outcome = $2 WHERE request_id = $1",
        request_id,
        {"key": "requests/1/a.zip", "size": 3, "url": f"http://s3/a.zip?{CANARY}"},
        CANARY,
    )
    for path in ("/requests", f"/requests/{request_id}", "/audit", "/days"):
        assert CANARY not in await page(client, path)
        async with client.get(path) as answer:
            assert CANARY not in await answer.text()


PATHS: Final = (
    "/requests",
    "/requests/00000000-0000-4000-8000-000000000000",
    "/dead-letters",
    "/dead-letters/records",
    "/days",
    "/audit",
)


async def test_pages_say_what_they_could_not_see_while_the_database_is_frozen(
    client: Client, servers: Stack, servers_folder: Path
) -> None:
    del servers
    recorded = Processes(Folder(servers_folder)).recorded()
    if "postgres" not in recorded:
        pytest.skip("PostgreSQL is not ours to freeze")
    await document(client, "/requests")
    with frozen(recorded["postgres"].pid):
        for path in PATHS:
            for kind in ({}, BROWSER):
                began = time.monotonic()
                async with client.get(path, headers=kind) as answer:
                    text = await answer.text()
                assert time.monotonic() - began < LIMIT_S, path
                assert answer.status == 200, text
                assert "because the database does not answer" in text, path


async def test_pages_say_what_they_could_not_see_while_the_database_is_away(away_objects: ObjectStore) -> None:
    away = SecretStr(f"postgresql://nobody@127.0.0.1:{closed_port()}/nothing")
    async with open_stories(away, RawObjects(away_objects, "raw")) as client:
        for path in PATHS:
            told = await document(client, path)
            assert any("the database" in why for why in told["unseen"]), told
            assert "Not seen:" in await page(client, path)
        days = await document(client, "/days")
        assert any("S3" in why for why in days["unseen"])
        assert days["days"] == []
