"""The status service's internal listener: who may call, who may see a request, and the link to its download."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import aiohttp
import pytest
import stamina
from pydantic import SecretStr
from yarl import URL

from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.object_keys import outer_archive_key
from exhaust.http.envelope import CALLER_HEADER
from exhaust.http.listener import listening
from exhaust.http.status_reads import MOST_READS, STATUSES_PATH
from exhaust.postgres.audit import Action, AuditFilter, find_acts
from exhaust.postgres.database import Database
from exhaust.postgres.grants import GrantStore
from exhaust.process.health import Health
from exhaust.s3.store import Objects
from exhaust.settings import KafkaSettings, ObjectSettings
from schemas.events import Completed, Failed, Failure, FinishedArchive, FinishedDay, Progress
from services.status.__main__ import internal_app
from services.status.answers import Answers
from services.status.changes import Changes
from services.status.request_states import RequestStates
from services.status.request_views import RequestViews
from services.status.settings import StatusSettings
from services.status.status_calls import StatusCalls
from services.status.update_calls import UpdateCalls
from telemetry.resource_ids import resource_id
from tests.integration.conftest import (
    LONG_AGO,
    MSGID,
    PARTNER,
    RESOURCE,
    Filing,
    Listener,
    Reply,
    assert_refused,
    envelope,
)
from tests.support.path_tricks import GOOD, IN_A_PART
from tests.support.s3_proxy import closed_port

TOKEN = "a service token for the tests"
PARTNER_ONLY = "org.example.another"  # requests for it are about RESOURCE, which is not its own
DAYS = 3
DOWNLOAD = bytes(range(256)) * 40


@dataclass(frozen=True)
class Status(Listener):
    """The status service, with a caller who has the service token."""

    async def of(self, request_id: UUID, caller: int | str) -> Reply:
        return await self.call(path_of(request_id), envelope({}), headers=headers(caller))

    async def result(self, request_id: UUID, caller: int) -> dict[str, Any]:
        reply = await self.of(request_id, caller)
        assert reply.status == 200, reply.body
        assert reply.body["params"]["msgid"] == MSGID
        found: dict[str, Any] = reply.body["result"]
        return found


def path_of(request_id: UUID | str) -> str:
    return f"/v2/datasets/requests/status/{request_id}"


def headers(caller: int | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}", CALLER_HEADER: str(caller)}


@pytest.fixture
def states(database: Database) -> RequestStates:
    return RequestStates(database)


@pytest.fixture
async def link_lifetime() -> timedelta:
    return timedelta(hours=1)


@pytest.fixture
async def status(
    states: RequestStates,
    runtime_dsn: SecretStr,
    kafka_settings: KafkaSettings,
    object_settings: ObjectSettings,
    objects: Objects,
    database: Database,
    link_lifetime: timedelta,
) -> AsyncIterator[Status]:
    settings = StatusSettings(
        port=closed_port(),
        postgres_dsn=runtime_dsn,
        service_token=SecretStr(TOKEN),
        **kafka_settings.model_dump(),
        **object_settings.model_dump(),
    )
    changes = Changes()
    bucket = settings.s3_exhaust_bucket
    answers = Answers(objects, load_catalogue(None), bucket=bucket, link_lifetime=link_lifetime)
    calls = StatusCalls(RequestViews(database), GrantStore(database), answers, changes)
    updates = UpdateCalls(states, objects, changes, bucket=bucket)
    app = internal_app(Health(checks={"postgres": database.ping}), settings, calls, updates)
    async with aiohttp.ClientSession() as session, listening(app, settings.host, settings.port):
        yield Status(session, f"http://{settings.host}:{settings.port}")


async def grant(owner: Database, user_id: int, *resources: str) -> int:
    async with owner.transaction() as connection:
        for resource in resources:
            await connection.execute(
                "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES ($1, $2)", user_id, resource
            )
    return user_id


@pytest.fixture
async def caller(filing: Filing, owner_database: Database) -> int:
    """Somebody who may read RESOURCE and acts for its partner."""
    return await grant(owner_database, await filing.user(), RESOURCE)


@pytest.fixture
async def request_id(filing: Filing, caller: int) -> UUID:
    """A request of the caller, released."""
    return await filing.request(user_id=caller, days=DAYS, waiting=False)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"],
)
async def test_a_call_without_the_service_token_is_refused(
    status: Status, request_id: UUID, caller: int, authorization: str | None
) -> None:
    given = {CALLER_HEADER: str(caller)} | ({} if authorization is None else {"Authorization": authorization})
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
    given = {"Authorization": f"Bearer {TOKEN}"}
    assert_refused(await status.call(path_of(request_id), envelope({}), headers=given), 400, "INVALID_DATA_ERROR")


async def test_a_foreign_request_cannot_be_told_from_an_unknown_one(
    status: Status, filing: Filing, owner_database: Database, states: RequestStates, caller: int
) -> None:
    own_partner, reader_only = resource_id(PARTNER_ONLY), caller
    acts_only = await grant(owner_database, await filing.user(), own_partner)
    nobody = await filing.user()
    owner = await grant(owner_database, await filing.user(), own_partner, RESOURCE)
    foreign = await filing.request(user_id=owner, partner=PARTNER_ONLY, days=DAYS)
    await states.take_in("/test", str(uuid4()), completed(foreign))
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


async def test_whoever_acts_for_the_partner_and_may_read_the_resource_sees_the_request(
    status: Status, filing: Filing, owner_database: Database, request_id: UUID
) -> None:
    colleague = await grant(owner_database, await filing.user(), RESOURCE)
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
    status: Status, owner_database: Database, states: RequestStates, request_id: UUID, caller: int, withdrawal: str
) -> None:
    await states.take_in("/test", "1", completed(request_id))
    assert "downloadurl" in await status.result(request_id, caller)
    async with owner_database.transaction() as connection:
        await connection.execute(withdrawal)
    assert_refused(await status.of(request_id, caller), 403, "AUTHORIZATION_FAILED")


async def statuses(status: Status, *reads: tuple[int, UUID]) -> list[dict[str, Any]]:
    """What several callers are answered at once."""
    asked = [{"userid": user_id, "requestid": str(request_id)} for user_id, request_id in reads]
    reply = await status.call(STATUSES_PATH, envelope({"reads": asked}), headers=headers(0))
    assert reply.status == 200, reply.body
    answers: list[dict[str, Any]] = reply.body["result"]["answers"]
    return answers


async def test_several_callers_at_once_are_each_answered_as_alone(
    status: Status, filing: Filing, owner_database: Database, states: RequestStates, request_id: UUID, caller: int
) -> None:
    nobody = await filing.user()
    withdrawn = await filing.user()
    left_behind = await filing.request(user_id=withdrawn, days=DAYS, waiting=False)
    colleague = await grant(owner_database, await filing.user(), RESOURCE)
    reads = [(user, asked) for asked in (request_id, left_behind, uuid4()) for user in (caller, nobody, withdrawn)]
    reads += [(colleague, request_id), (caller, request_id)]
    await states.take_in("/test", "1", Progress(requestid=request_id, attempt=1, daystotal=DAYS))
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
    status: Status, filing: Filing, owner_database: Database, database: Database, request_id: UUID, caller: int
) -> None:
    before = len(await find_acts(database, AuditFilter(action=Action.DOWNLOAD_LINK)))
    colleague, nobody = await grant(owner_database, await filing.user(), RESOURCE), await filing.user()
    answers = await statuses(status, (caller, request_id), (nobody, request_id), (colleague, request_id))
    assert ["downloadurl" in answer.get("result", {}) for answer in answers] == [True, False, True]
    acts = await find_acts(database, AuditFilter(action=Action.DOWNLOAD_LINK))
    assert sorted(act.actor for act in acts[: len(acts) - before]) == sorted([f"user/{caller}", f"user/{colleague}"])


READ: dict[str, object] = {"userid": 1, "requestid": str(UUID(int=1))}


@pytest.mark.parametrize(
    ("reads", "place"),
    [
        (None, "request/reads"),
        ([], "request/reads"),
        ([READ] * (MOST_READS + 1), "request/reads"),
        ([READ, {**READ, "userid": "1"}], "request/reads/1/userid"),
        ([{**READ, "userid": -1}], "request/reads/0/userid"),
        ([{**READ, "userid": 2**63}], "request/reads/0/userid"),
        ([{**READ, "requestid": "1"}], "request/reads/0/requestid"),
        ([{**READ, "requestid": f"{{{UUID(int=1)}}}"}], "request/reads/0/requestid"),
        ([{"userid": 1}], "request/reads/0/requestid"),
        ([1], "request/reads/0"),
    ],
)
async def test_reads_that_are_none_are_refused_by_their_place(status: Status, reads: object, place: str) -> None:
    reply = await status.call(STATUSES_PATH, envelope({"reads": reads}), headers=headers(0))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert place in reply.body["params"]["errmsg"]


async def test_progress_is_shown_and_no_link_before_the_end(
    status: Status, states: RequestStates, request_id: UUID, caller: int
) -> None:
    nothing = {"daysdone": 0, "daystotal": DAYS, "events": 0, "bytes": 0}
    assert await status.result(request_id, caller) == {"status": "inprogress", "progress": nothing}
    day = FinishedDay(day=LONG_AGO, state="ok", events=7, bytes=700, unreadable=1, reused=False)
    await states.take_in("/test", "1", Progress(requestid=request_id, attempt=1, daystotal=DAYS, day=day))
    progress = {"daysdone": 1, "daystotal": DAYS, "events": 7, "bytes": 700}
    assert await status.result(request_id, caller) == {"status": "inprogress", "progress": progress}


async def test_a_failed_request_says_why(status: Status, states: RequestStates, request_id: UUID, caller: int) -> None:
    error = Failure(
        code="SOURCE_OBJECT_UNREADABLE", message="raw/a.json.gz: is cut short", day=LONG_AGO, object="raw/a"
    )
    await states.take_in("/test", "1", Failed(requestid=request_id, attempt=1, error=error))
    found = await status.result(request_id, caller)
    assert (found["status"], found["error"]) == ("failed", error.model_dump(mode="json"))
    assert "downloadurl" not in found


def completed(request_id: UUID) -> Completed:
    last = LONG_AGO + timedelta(days=DAYS - 1)
    archive = FinishedArchive(
        key=outer_archive_key(request_id, 1, "eks-consumption-raw", LONG_AGO, last),
        size=len(DOWNLOAD),
        digest="1" * 64,
        sha256="0" * 64,
        events=30,
        bytes=3000,
    )
    return Completed(requestid=request_id, attempt=1, archive=archive)


@pytest.fixture
async def link(
    status: Status,
    states: RequestStates,
    objects: Objects,
    object_settings: ObjectSettings,
    request_id: UUID,
    caller: int,
) -> URL:
    """The address of a download that exists."""
    event = completed(request_id)
    await objects.put(object_settings.s3_exhaust_bucket, event.archive.key, DOWNLOAD)
    await states.take_in("/test", str(uuid4()), event)
    found = await status.result(request_id, caller)
    assert {name: found[name] for name in ("status", "size", "events", "bytes")} == {
        "status": "complete",
        "size": len(DOWNLOAD),
        "events": 30,
        "bytes": 3000,
    }
    assert found["sha256"] == event.archive.sha256
    assert found["progress"]["daysdone"] == DAYS
    return URL(found["downloadurl"], encoded=True)


async def test_whoever_is_given_links_is_in_the_audit(
    status: Status, link: URL, database: Database, request_id: UUID, caller: int
) -> None:
    assert link
    before = await find_acts(database, AuditFilter(action=Action.DOWNLOAD_LINK))
    await status.of(request_id, caller)
    await listed(status, caller)
    acts = await find_acts(database, AuditFilter(action=Action.DOWNLOAD_LINK))
    assert len(acts) == len(before) + 2
    assert {(act.actor, act.subject) for act in acts} == {(f"user/{caller}", f"request/{request_id}")}


async def test_the_link_downloads_the_archive_as_a_file(status: Status, link: URL) -> None:
    async with status.session.get(link) as answer:
        assert (answer.status, await answer.read()) == (200, DOWNLOAD)
        assert answer.content_disposition is not None
        assert answer.content_disposition.type == "attachment"
        assert answer.content_disposition.filename == "eks-consumption-raw_2026-01-01_2026-01-03.zip"
        assert answer.content_type == "application/zip"
        assert answer.headers["ETag"]


@pytest.mark.parametrize(
    ("asked", "first", "end"), [("bytes=0-0", 0, 1), ("bytes=1000-1999", 1000, 2000), ("bytes=-10", -10, None)]
)
async def test_the_link_gives_parts(status: Status, link: URL, asked: str, first: int, end: int | None) -> None:
    async with status.session.get(link, headers={"Range": asked}) as answer:
        assert (answer.status, await answer.read()) == (206, DOWNLOAD[first:end])
        assert answer.headers["Content-Range"].endswith(f"/{len(DOWNLOAD)}")


async def test_the_link_is_for_reading_that_one_object(status: Status, link: URL) -> None:
    another = link.with_path(link.path.replace("attempt-1", "attempt-2"), encoded=True, keep_query=True)
    for method, url in (("GET", another), ("PUT", link), ("DELETE", link), ("GET", link.with_query(None))):
        async with status.session.request(method, url) as answer:
            assert answer.status == 403, (method, url)


async def test_the_link_lives_an_hour_and_is_signed_at_each_reading(link: URL) -> None:
    assert StatusSettings.model_fields["link_lifetime"].default == timedelta(hours=1)
    assert parse_qs(urlsplit(str(link)).query)["X-Amz-Expires"] == ["3600"]


@pytest.mark.parametrize("link_lifetime", [timedelta(seconds=1)])
async def test_the_link_ends(status: Status, link: URL) -> None:
    async for attempt in stamina.retry_context(
        on=AssertionError, attempts=None, timeout=timedelta(seconds=30), wait_initial=0.1, wait_max=0.2
    ):
        with attempt:
            async with status.session.get(link) as answer:
                assert answer.status == 403


async def test_a_download_that_is_past_its_time_is_said_to_be_gone(
    status: Status, link: URL, owner_database: Database, request_id: UUID, caller: int
) -> None:
    fresh = await status.result(request_id, caller)
    ends = datetime.fromisoformat(fresh["expiresat"])
    assert timedelta(days=6, hours=23) < ends - datetime.now(UTC) <= timedelta(days=7)
    assert "expired" not in fresh
    async with owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE requests SET ended_at = ended_at - interval '7 days' WHERE request_id = $1", request_id
        )
    past = await status.result(request_id, caller)
    assert past["expired"] is True
    assert "downloadurl" not in past
    assert datetime.fromisoformat(past["expiresat"]) == ends - timedelta(days=7)
    assert link


async def listed(status: Status, caller: int, query: str = "", partner: str = PARTNER) -> Reply:
    path = f"/v2/datasets/requests/{quote(partner, safe='')}{query}"
    return await status.call(path, envelope({}), headers=headers(caller))


async def test_a_partners_requests_are_listed_newest_first_in_pages(
    status: Status, filing: Filing, caller: int
) -> None:
    made = [await filing.request(user_id=caller) for _ in range(5)]
    await filing.request(partner="org.example.somebody.else")
    seen: list[str] = []
    query = "?limit=2"
    while True:
        result = (await listed(status, caller, query)).body["result"]
        seen += [entry["requestid"] for entry in result["requests"]]
        if "next" not in result:
            break
        query = f"?limit=2&next={quote(result['next'])}"
    assert seen == [str(request_id) for request_id in reversed(made)]


async def test_an_entry_has_every_documented_field(status: Status, link: URL, caller: int, request_id: UUID) -> None:
    assert link
    (entry,) = (await listed(status, caller)).body["result"]["requests"]
    tracker = entry.pop("tracker")
    created = entry.pop("createdat")
    assert entry == {
        "partnerid": PARTNER,
        "username": "somebody",
        "requestid": str(request_id),
        "datasetid": "eks-consumption-raw",
        "resourceid": RESOURCE,
        "fromdate": "2026-01-01",
        "todate": "2026-01-03",
        "tags": [str(request_id)],
    }
    assert abs(created / 1000 - datetime.now(UTC).timestamp()) < 3600
    assert (tracker["status"], tracker["size"]) == ("complete", len(DOWNLOAD))
    assert tracker["downloadurl"].startswith("http")


async def test_a_list_shows_only_what_the_caller_may_read(
    status: Status, filing: Filing, owner_database: Database
) -> None:
    await filing.request()
    stranger = await grant(owner_database, await filing.user(), "another-resource")
    assert (await listed(status, stranger)).body["result"] == {"requests": []}


FAR = "?next=" + base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:59 00000000-0000-4000-8000-000000000000").decode()


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?limit=x", "?next=x", "?next=", "?next=AAAA", FAR])
async def test_a_page_that_cannot_be_is_refused(status: Status, caller: int, query: str) -> None:
    assert_refused(await listed(status, caller, query), 400, "INVALID_DATA_ERROR")


async def test_a_call_can_wait_for_the_end(
    status: Status, states: RequestStates, caller: int, request_id: UUID
) -> None:
    waiting = asyncio.create_task(status.call(f"{path_of(request_id)}?wait=30", envelope({}), headers=headers(caller)))
    event = completed(request_id)
    # News that another replica took in: nobody tells the one that waits.
    await states.take_in("/test", str(uuid4()), event)
    reply = await asyncio.wait_for(waiting, 15)
    assert reply.body["result"]["status"] == "complete"


async def test_a_wait_that_is_too_long_is_refused(status: Status, caller: int, request_id: UUID) -> None:
    reply = await status.call(f"{path_of(request_id)}?wait=31", envelope({}), headers=headers(caller))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")


async def updated(status: Status, request_id: UUID | str, request: dict[str, Any]) -> Reply:
    return await status.call(f"/v2/datasets/requests/update/{request_id}", envelope(request), headers=headers(1))


async def test_a_job_elsewhere_completes_a_request(
    status: Status, objects: Objects, object_settings: ObjectSettings, request_id: UUID, caller: int
) -> None:
    bucket = object_settings.s3_exhaust_bucket
    key = f"requests/{request_id}/spark/part 1.zip"
    await objects.put(bucket, key, DOWNLOAD)
    await updated(status, request_id, {"status": "inprogress", "downloadurl": "ignored"})
    for url in (f"s3://{bucket}/{key}", f"https://elsewhere.example/{bucket}/{quote(key)}?signature=x", key):
        reply = await updated(status, request_id, {"status": "complete", "downloadurl": url})
        assert reply.status == 200, reply.body
    found = await status.result(request_id, caller)
    assert (found["status"], found["size"]) == ("complete", len(DOWNLOAD))
    async with status.session.get(URL(found["downloadurl"], encoded=True)) as answer:
        assert await answer.read() == DOWNLOAD
    late = await updated(status, request_id, {"status": "failed"})
    assert late.status == 200
    assert (await status.result(request_id, caller))["status"] == "complete"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example/x.zip",
        "requests/00000000-0000-4000-8000-000000000000/x.zip",
        "requests/REQUEST/",
        "requests/REQUEST/../other/x.zip",
        "requests/REQUEST/absent.zip",
        "http://[",
    ],
)
async def test_an_update_may_only_name_an_object_of_its_own(
    status: Status, request_id: UUID, caller: int, url: str
) -> None:
    url = url.replace("REQUEST", str(request_id))
    reply = await updated(status, request_id, {"status": "complete", "downloadurl": url})
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert (await status.result(request_id, caller))["status"] == "inprogress"


async def test_an_update_needs_a_documented_word_and_a_known_request(status: Status, request_id: UUID) -> None:
    for request in ({}, {"status": "done"}, {"status": "submitted"}):
        assert_refused(await updated(status, request_id, request), 400, "INVALID_DATA_ERROR")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert_refused(await updated(status, unknown, {"status": "failed"}), 404, "INVALID_REQUESTID")
    assert_refused(await updated(status, "x", {"status": "failed"}), 404, "INVALID_REQUESTID")
