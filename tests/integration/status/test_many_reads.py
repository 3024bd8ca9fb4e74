"""The status of many requests in one call, as the gateway asks for it."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from schemas.events import Progress
from schemas.operations import MAX_READS, STATUSES_PATH
from services.status.request_states import RequestStates
from tests.integration.conftest import RESOURCE, RequestFactory, assert_refused, envelope
from tests.integration.status.conftest import DAYS, Status, grant, headers
from tests.support.completions import claim


async def statuses(status: Status, *reads: tuple[int, UUID]) -> list[dict[str, Any]]:
    """What several callers are answered at once."""
    asked = [{"userid": user_id, "requestid": str(request_id)} for user_id, request_id in reads]
    reply = await status.call(STATUSES_PATH, envelope({"reads": asked}), headers=headers(0))
    assert reply.status == 200, reply.body
    answers: list[dict[str, Any]] = reply.body["result"]["answers"]
    return answers


async def test_several_callers_at_once_are_each_answered_as_alone(
    status: Status,
    request_factory: RequestFactory,
    owner_database: Database,
    states: RequestStates,
    request_id: UUID,
    caller: int,
) -> None:
    nobody = await request_factory.user()
    withdrawn = await request_factory.user()
    left_behind = await request_factory.request(user_id=withdrawn, days=DAYS, waiting=False)
    colleague = await grant(owner_database, await request_factory.user(), RESOURCE)
    reads = [(user, asked) for asked in (request_id, left_behind, uuid4()) for user in (caller, nobody, withdrawn)]
    reads += [(colleague, request_id), (caller, request_id)]
    await states.apply(claim(Progress(requestid=request_id, attempt=1, daystotal=DAYS)))
    for (user_id, asked), answer in zip(reads, await statuses(status, *reads), strict=True):
        alone = await status.of(asked, user_id)
        params = alone.body["params"]
        told = {"result": alone.body["result"]} if alone.status == 200 else {n: params[n] for n in ("err", "errmsg")}
        assert answer == told
    assert {answer.get("err") for answer in await statuses(status, *reads)} == {
        None,
        "INVALID_REQUESTID",
        "AUTHORIZATION_FAILED",
    }


@pytest.mark.usefixtures("link")
async def test_links_for_several_callers_are_each_in_the_audit(
    status: Status,
    request_factory: RequestFactory,
    owner_database: Database,
    database: Database,
    request_id: UUID,
    caller: int,
) -> None:
    colleague, nobody = (
        await grant(owner_database, await request_factory.user(), RESOURCE),
        await request_factory.user(),
    )
    answers = await statuses(status, (caller, request_id), (nobody, request_id), (colleague, request_id))
    assert ["downloadurl" in answer.get("result", {}) for answer in answers] == [True, False, True]
    acts = await find_audit_entries(database, AuditFilter(action=Action.DOWNLOAD_LINK))
    assert sorted(act.actor for act in acts) == sorted([f"user/{caller}", f"user/{colleague}"])


READ: dict[str, object] = {"userid": 1, "requestid": str(UUID(int=1))}


@pytest.mark.parametrize(
    ("reads", "place"),
    [
        (None, "request/reads"),
        ([], "request/reads"),
        ([READ] * (MAX_READS + 1), "request/reads"),
        ([READ, {**READ, "userid": "1"}], "request/reads/1/userid"),
        ([{**READ, "userid": -1}], "request/reads/0/userid"),
        ([{**READ, "userid": 2**63}], "request/reads/0/userid"),
        ([{**READ, "requestid": "1"}], "request/reads/0/requestid"),
        ([{**READ, "requestid": f"{{{UUID(int=1)}}}"}], "request/reads/0/requestid"),
        ([{"userid": 1}], "request/reads/0/requestid"),
        ([1], "request/reads/0"),
    ],
)
async def test_malformed_reads_are_refused_and_named_by_their_place(status: Status, reads: object, place: str) -> None:
    reply = await status.call(STATUSES_PATH, envelope({"reads": reads}), headers=headers(0))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert place in reply.body["params"]["errmsg"]
