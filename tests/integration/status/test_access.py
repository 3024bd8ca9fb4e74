"""Who may call the status service, and who may see a request."""

from uuid import UUID, uuid4

import pytest

from exhaust.postgres.database import Database
from schemas.operations import USER_HEADER
from services.status.request_states import RequestStates
from telemetry.resource_ids import resource_id
from tests.integration.conftest import RESOURCE, SERVICE_TOKEN, Reply, RequestFactory, assert_refused, envelope
from tests.integration.status.conftest import DAYS, FinishedDownloads, Status, grant, headers, path_of
from tests.support.completions import claim
from tests.support.path_tricks import GOOD, IN_A_PART

PARTNER_ONLY = "org.example.another"  # requests for it are about RESOURCE, which is not its own


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        SERVICE_TOKEN,
        f"Basic {SERVICE_TOKEN}",
        f"Bearer {SERVICE_TOKEN}x",
        f"Bearer {SERVICE_TOKEN[:-1]}",
        "Bearer é",
    ],
)
async def test_a_call_without_the_service_token_is_refused(
    status: Status, request_id: UUID, caller: int, authorization: str | None
) -> None:
    given = {USER_HEADER: str(caller)} | ({} if authorization is None else {"Authorization": authorization})
    for path in (path_of(request_id), f"/%76%32{path_of(request_id)[3:]}", "/v2/nothing", "/v1/nothing"):
        assert_refused(await status.call(path, envelope({}), headers=given), 401, "LOGIN_FAILED", ver="1.0")


async def test_health_and_metrics_need_no_token(status: Status) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        async with status.session.get(status.base + path) as answer:
            assert answer.status == 200


async def test_what_is_no_operation_does_not_exist(status: Status, caller: int) -> None:
    for path in ("/v2/nothing", "/v1/client", "/v2/datasets/eks-consumption-raw/x", f"/{path_of(uuid4())}"):
        reply = await status.call(path, envelope({}), headers=headers(caller))
        assert_refused(reply, 404, "NOT_FOUND", ver="1.0")


async def test_tricks_in_a_path_find_nothing(status: Status, request_id: UUID, caller: int) -> None:
    body = envelope({"status": "failed"})
    for name, trick in IN_A_PART.items():
        code = "NOT_FOUND" if name == "template" else "INVALID_REQUESTID"
        path = path_of(trick.replace(GOOD, str(request_id)))
        for tried in (path, path.replace("/status/", "/update/")):
            reply = await status.call(tried, body, headers=headers(caller))
            assert (reply.status, reply.body["params"]["err"]) == (404, code), name
        listed = await status.call(path.replace("/status/", "/"), body, headers=headers(caller))
        assert listed.status in {400, 404} or listed.body["result"] == {"requests": []}, name
    assert (await status.result(request_id, caller))["status"] == "inprogress"


@pytest.mark.parametrize("odd", ["", "x", "-1", "+1", "1.0", "1 2", "0x1", "\u0661", "9" * 19, "9" * 30, "9" * 5000])
async def test_a_caller_who_is_no_user_id_is_refused(status: Status, request_id: UUID, odd: str) -> None:
    assert_refused(await status.of(request_id, odd), 400, "INVALID_DATA_ERROR")


async def test_a_call_without_a_caller_is_refused(status: Status, request_id: UUID) -> None:
    given = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    assert_refused(await status.call(path_of(request_id), envelope({}), headers=given), 400, "INVALID_DATA_ERROR")


async def test_a_foreign_request_cannot_be_told_from_an_unknown_one(
    status: Status,
    request_factory: RequestFactory,
    owner_database: Database,
    states: RequestStates,
    downloads: FinishedDownloads,
    caller: int,
) -> None:
    own_partner, reader_only = resource_id(PARTNER_ONLY), caller
    acts_only = await grant(owner_database, await request_factory.user(), own_partner)
    nobody = await request_factory.user()
    owner = await grant(owner_database, await request_factory.user(), own_partner, RESOURCE)
    foreign = await request_factory.request(user_id=owner, partner=PARTNER_ONLY, days=DAYS)
    await states.apply(claim(await downloads.write(foreign)))
    assert (await status.of(foreign, owner)).status == 200
    for stranger in (reader_only, acts_only, nobody, nobody + 1000, 0):
        assert without_ids(await status.of(foreign, stranger)) == without_ids(await status.of(uuid4(), stranger))
    assert_refused(await status.of(foreign, nobody), 404, "INVALID_REQUESTID")
    for malformed in ("1", f"{foreign}0", "..%2F..", f"{foreign}%00"):
        reply = await status.call(path_of(malformed), envelope({}), headers=headers(nobody))
        assert without_ids(reply) == without_ids(await status.of(foreign, nobody))


def without_ids(reply: Reply) -> tuple[object, ...]:
    """All of an answer but what differs between any two."""
    names = {name: value for name, value in reply.headers.items() if name not in {"Date", "X-Request-ID"}}
    params = list((reply.body["params"] | {"resmsgid": ""}).items())
    return reply.status, names, list((reply.body | {"ts": "", "params": params}).items())


async def test_a_user_who_acts_for_the_partner_and_may_read_the_resource_sees_the_request(
    status: Status, request_factory: RequestFactory, owner_database: Database, request_id: UUID
) -> None:
    colleague = await grant(owner_database, await request_factory.user(), RESOURCE)
    assert (await status.result(request_id, colleague))["status"] == "inprogress"


@pytest.mark.parametrize(
    "withdrawal",
    [
        "DELETE FROM data_exhaust_users_resources",
        "UPDATE data_exhaust_users_resources SET expires_at = now()",
        "UPDATE data_exhaust_users_resources SET dataset_id = 'channel-raw'",
    ],
)
async def test_an_own_request_whose_grant_was_withdrawn_is_forbidden(
    status: Status,
    owner_database: Database,
    states: RequestStates,
    downloads: FinishedDownloads,
    request_id: UUID,
    caller: int,
    withdrawal: str,
) -> None:
    await states.apply(claim(await downloads.write(request_id)))
    assert "downloadurl" in await status.result(request_id, caller)
    async with owner_database.transaction() as connection:
        await connection.execute(withdrawal)
    assert_refused(await status.of(request_id, caller), 403, "AUTHORIZATION_FAILED")
