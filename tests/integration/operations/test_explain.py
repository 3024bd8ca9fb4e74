"""What the command tells of a request on its way, as the tables have it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from exhaust.operations.explanation import explain
from exhaust.operations.pausing import pause, paused_partner
from exhaust.operations.request_actions import retry_requests
from exhaust.postgres.request_story import find_request_story
from tests.integration.conftest import LONG_AGO, PARTNER
from tests.integration.operations.conftest import BROKEN, ORDER, REASON, Operator
from tests.support.outbox import Topic, release

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Database

LIMIT = 2
ODD = "org.example.\x1b[31m<b>maple</b>"


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_MAX_IN_FLIGHT_PER_PARTNER", str(LIMIT))


async def sentence(owner: Database, request_id: UUID) -> str:
    story = await find_request_story(owner, request_id)
    assert story is not None
    return explain(story, max_in_flight=LIMIT).sentence.what


async def test_a_request_waits_for_its_turn(database: Database, operator: Operator) -> None:
    requests = [await operator.requests.request(partner=ODD, days=1 + number) for number in range(5)]
    assert await release(database, Topic(), limit=LIMIT) == requests[:2]
    async with operator.owner.transaction() as connection:
        await connection.execute(
            "INSERT INTO request_days VALUES ($1, 1, $2, 1, 1), ($1, 1, $2 + 1, 1, 1)", requests[1], LONG_AGO
        )
    told = await sentence(operator.owner, requests[4])
    assert told == (
        f"waits in the outbox: {ODD} has 2 at work and this is its 3rd; next when {str(requests[1])[:4]}… ends"
    )
    document = await operator.asks("explain", str(requests[4]))
    assert (document["sentence"], document["turn"], len(document["days"])) == (told, 3, 5)
    text = (await operator.command.good("explain", str(requests[4]))).out
    assert "\x1b" not in text
    assert "org.example.\\x1b[31m<b>maple</b> has 2 at work and this is its 3rd" in text


async def test_a_paused_request_says_who_paused_it_and_takes_no_turn(operator: Operator) -> None:
    request_id = await operator.requests.request()
    await pause(operator.owner, paused_partner(PARTNER), ORDER)
    document = await operator.asks("explain", str(request_id))
    assert document["sentence"].startswith(f"waits in the outbox: partner {PARTNER} is paused by service/test for ")
    assert document["sentence"].endswith(REASON)
    assert document["turn"] is None


async def test_a_failed_request_says_why_and_what_was_done_about_it(operator: Operator) -> None:
    [request_id] = await operator.failed()
    told = await sentence(operator.owner, request_id)
    assert f"with SOURCE_OBJECT_UNREADABLE, object {BROKEN}: x" in told
    async for result in retry_requests(operator.owner, [request_id], ORDER):
        assert result.done
    document = await operator.asks("explain", str(request_id))
    assert document["sentence"].startswith("waits in the outbox for its release")
    assert [found["began"] for found in document["attempts"]] == ["submit", "retry by service/test"]
    told_since = {found["what"] for found in document["timeline"]}
    assert told_since == {"submit", "waits in the outbox", f"retry by service/test: {REASON}"}


async def test_an_unknown_request_is_said_to_be(operator: Operator) -> None:
    assert (await operator.run("explain", str(uuid4()))).code == 1
    assert (await operator.run("explain", "first")).code == 2
