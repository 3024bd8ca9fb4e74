"""Retrying and cancelling requests: one, many, and all of one cause."""

import time
from uuid import uuid4

import pytest

from exhaust.errors import ExhaustError
from exhaust.operations.orders import Order
from exhaust.operations.request_actions import cancel_requests, failed_requests, retry_requests
from exhaust.postgres.audit import Action
from exhaust.postgres.database import Database
from exhaust.postgres.request_lists import RequestFilter
from tests.integration.operations.conftest import BROKEN, DRY_RUN, ORDER, REASON, Operator, outcomes
from tests.support.outbox import waiting

MANY = 1000
MOST_S = 30


async def test_a_thousand_retries_at_once_are_soon_done_and_each_is_in_the_audit(
    database: Database, operator: Operator
) -> None:
    ids = await operator.failed(count=MANY)
    began = time.monotonic()
    results = [result async for result in retry_requests(database, ids, ORDER)]
    took = time.monotonic() - began
    print(f"\n{MANY} retries in {took:.1f} s")
    assert took < MOST_S
    assert outcomes(results) == [(f"request/{request_id}", True) for request_id in ids]
    assert sorted(await operator.acts(Action.RETRY)) == sorted(
        ("service/test", f"request/{request_id}", REASON) for request_id in ids
    )
    assert set((await operator.states()).values()) == {("submitted", 2)}
    assert await waiting(database) == set(ids)


async def test_a_second_run_after_a_kill_does_the_rest(database: Database, operator: Operator) -> None:
    ids = await operator.failed(count=20)
    async for result in retry_requests(database, ids, ORDER):
        first = result
        break
    again = [result async for result in retry_requests(database, ids, ORDER)]
    assert first.done
    assert next(result.what for result in again if not result.done).startswith("the request is in progress")
    assert set((await operator.states()).values()) == {("submitted", 2)}
    assert len(await operator.acts(Action.RETRY)) == len(ids)


async def test_each_item_has_its_own_result(database: Database, operator: Operator) -> None:
    [failed], unknown = await operator.failed(), uuid4()
    open_request = await operator.requests.request()
    results = [result async for result in retry_requests(database, [failed, unknown, open_request, failed], ORDER)]
    assert outcomes(results) == [
        (f"request/{failed}", True),
        (f"request/{unknown}", False),
        (f"request/{open_request}", False),
    ]
    results = [result async for result in cancel_requests(database, [open_request, unknown], ORDER)]
    assert outcomes(results) == [(f"request/{open_request}", True), (f"request/{unknown}", False)]
    assert await operator.acts(Action.CANCEL) == [("service/test", f"request/{open_request}", REASON)]


async def test_a_dry_run_says_what_would_be_done_and_changes_nothing(database: Database, operator: Operator) -> None:
    [failed] = await operator.failed()
    open_request = await operator.requests.request()
    before = await operator.states()
    results = [result async for result in retry_requests(database, [failed, open_request], DRY_RUN)]
    assert [(result.done, result.what) for result in results] == [
        (True, "attempt 2 would be submitted"),
        (False, "the request is in progress; wait for its end, or cancel it first"),
    ]
    results = [result async for result in cancel_requests(database, [open_request], DRY_RUN)]
    assert [(result.done, result.what) for result in results] == [(True, "attempt 1 would be cancelled")]
    assert await operator.states() == before
    assert await waiting(database) == {open_request}
    assert await operator.acts(Action.RETRY) == await operator.acts(Action.CANCEL) == []


async def test_all_of_one_cause_are_found_and_no_others(database: Database, operator: Operator) -> None:
    wanted = set(await operator.failed(count=3))
    await operator.failed(broken="raw/another.json.gz")
    await operator.failed(code="LIMIT_EXCEEDED")
    cause = RequestFilter(code="SOURCE_OBJECT_UNREADABLE", object=BROKEN)
    assert set(await failed_requests(database, cause)) == wanted


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "\0"], ids=["none", "blank", "long", "NUL"])
def test_an_order_has_a_reason(reason: str) -> None:
    with pytest.raises(ExhaustError, match="reason"):
        Order("service/test", reason)


async def test_the_command_retries_all_of_one_cause(operator: Operator) -> None:
    ids = await operator.failed(count=3)
    [other] = await operator.failed(code="LIMIT_EXCEEDED")
    cause = ("--code", "SOURCE_OBJECT_UNREADABLE", "--object", BROKEN)
    assert (await operator.run("retry", *cause)).code == 2
    planned = await operator.asks("retry", *cause, "--reason", REASON, "--dry-run")
    assert (planned["dryrun"], planned["done"], planned["refused"]) == (True, 3, 0)
    done = await operator.command.good("retry", *cause, "--reason", REASON)
    assert sorted(row[0] for row in done.rows[1:]) == sorted(f"request/{request_id}" for request_id in ids)
    states = await operator.states()
    assert [states[request_id] for request_id in ids] == [("submitted", 2)] * 3
    assert states[other] == ("failed", 1)
    assert {actor.split("/")[0] for actor, _, _ in await operator.acts(Action.RETRY)} == {"operator"}
    assert (await operator.run("retry", *cause, "--reason", REASON)).code == 1
    some = await operator.run("retry", str(other), str(ids[0]), "--reason", REASON)
    assert (some.code, "1 of 2 refused" in some.err) == (1, True)
    assert (await operator.run("retry", str(ids[0]), "--reason", REASON)).code == 2
    assert (await operator.run("retry", "--reason", REASON)).code == 2


async def test_the_command_lists_requests(operator: Operator) -> None:
    [failed] = await operator.failed()
    waits = await operator.requests.request(partner="org.example.\x1b[31m<b>maple</b>", days=3)
    rows = {row["request"]: row for row in await operator.asks("requests")}
    assert {request_id: row["state"] for request_id, row in rows.items()} == {
        str(failed): "failed",
        str(waits): "waits",
    }
    assert rows[str(waits)]["daysdone"] == "0/3"
    assert rows[str(failed)]["object"] == BROKEN
    text = (await operator.command.good("requests")).out
    assert "org.example.\\x1b[31m<b>maple</b>" in text
    assert "\x1b" not in text
    for conditions, found in (
        (("--state", "open"), [waits]),
        (("--state", "failed"), [failed]),
        (("--state", "parked"), []),
        (("--code", "SOURCE_OBJECT_UNREADABLE"), [failed]),
        (("--partner", "org.example.partner"), [failed]),
        (("--dataset", "eks-creation-raw"), []),
        (("--older-than", "1d"), []),
        (("--older-than", "0s"), [waits, failed]),
    ):
        assert [row["request"] for row in await operator.asks("requests", *conditions)] == list(map(str, found))
    assert (await operator.run("requests", "--older-than", "soon")).code == 2
