"""The cancel call: who may make it, and its receipt."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, error_document
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from services.status.request_states import RequestStates
from tests.integration.conftest import Reply, RequestFactory, assert_refused, envelope
from tests.integration.status.conftest import FinishedDownloads, Status, headers, listed, path_of
from tests.integration.status.test_access import without_ids
from tests.integration.status.test_updates import updated
from tests.support.completions import claim

CANCELLED = error_document(ErrorCode.CANCELLED, CANCELLED_SENTENCE)


async def cancelled(status: Status, request_id: UUID | str, caller: int, body: bytes = b"") -> Reply:
    return await status.call(path_of(request_id), body, method="DELETE", headers=headers(caller))


@pytest.mark.parametrize("body", [b"", envelope({})])
async def test_a_cancel_gives_the_same_receipt_each_time(
    status: Status, database: Database, request_id: UUID, caller: int, body: bytes
) -> None:
    before = datetime.now(UTC)
    first = await cancelled(status, request_id, caller, body)
    assert first.status == 200, first.body
    receipt = first.body["result"]
    assert abs((datetime.fromisoformat(receipt["cancelledat"]) - before).total_seconds()) < 10
    assert receipt == {
        "requestid": str(request_id),
        "status": "failed",
        "error": CANCELLED,
        "cancelledat": receipt["cancelledat"],
    }
    assert (await cancelled(status, request_id, caller)).body["result"] == receipt
    found = await status.result(request_id, caller)
    assert (found["status"], found["error"]) == ("failed", CANCELLED)
    assert "downloadurl" not in found
    (entry,) = (await listed(status, caller)).body["result"]["requests"]
    assert entry["tracker"] == found
    (act,) = await find_audit_entries(database, AuditFilter(action=Action.CANCEL))
    assert (act.actor, act.subject) == (f"user/{caller}", f"request/{request_id}")


async def test_a_foreign_request_cannot_be_cancelled_nor_told_from_an_unknown_one(
    status: Status, request_factory: RequestFactory, request_id: UUID, caller: int
) -> None:
    stranger = await request_factory.user()
    foreign = await cancelled(status, request_id, stranger)
    assert_refused(foreign, 404, "INVALID_REQUESTID")
    assert without_ids(foreign) == without_ids(await cancelled(status, uuid4(), stranger))
    assert without_ids(foreign) == without_ids(await cancelled(status, "nothing", stranger))
    assert (await status.result(request_id, caller))["status"] == "inprogress"


async def test_a_request_that_has_ended_is_not_cancelled(
    status: Status, states: RequestStates, downloads: FinishedDownloads, request_id: UUID, caller: int
) -> None:
    await states.apply(claim(await downloads.write(request_id)))
    refused = await cancelled(status, request_id, caller)
    assert_refused(refused, 409, "INVALID_DATA_ERROR")
    assert refused.body["params"]["errmsg"] == "the request is complete already, so there is nothing left to cancel"
    assert "downloadurl" in await status.result(request_id, caller)


async def test_an_own_request_whose_grant_was_withdrawn_is_not_cancelled(
    status: Status, owner_database: Database, request_id: UUID, caller: int
) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute("DELETE FROM data_exhaust_users_resources")
    assert_refused(await cancelled(status, request_id, caller), 403, "AUTHORIZATION_FAILED")


async def test_an_update_moves_no_request_that_was_cancelled(status: Status, request_id: UUID, caller: int) -> None:
    assert (await cancelled(status, request_id, caller)).status == 200
    for word in ("failed", "inprogress"):
        assert (await updated(status, request_id, {"status": word})).status == 200
        assert (await status.result(request_id, caller))["error"] == CANCELLED
