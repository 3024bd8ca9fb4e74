"""A partner's requests in pages."""

import base64
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import UUID

import pytest
from yarl import URL

from exhaust.postgres.database import Database
from tests.integration.conftest import PARTNER, RESOURCE, RequestFactory, assert_refused
from tests.integration.status.conftest import DOWNLOAD, Status, grant, listed


async def test_a_partners_requests_are_listed_newest_first_in_pages(
    status: Status, request_factory: RequestFactory, caller: int
) -> None:
    made = [await request_factory.request(user_id=caller) for _ in range(5)]
    await request_factory.request(partner="org.example.somebody.else")
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
    status: Status, request_factory: RequestFactory, owner_database: Database
) -> None:
    await request_factory.request()
    stranger = await grant(owner_database, await request_factory.user(), "another-resource")
    assert (await listed(status, stranger)).body["result"] == {"requests": []}


FAR = "?next=" + base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:59 00000000-0000-4000-8000-000000000000").decode()


@pytest.mark.parametrize(
    "query",
    ["?limit=1&limit=2", "?wait=1", "?limit=0", "?limit=101", "?limit=x", "?next=x", "?next=", "?next=AAAA", FAR],
)
async def test_a_malformed_page_cursor_is_refused(status: Status, caller: int, query: str) -> None:
    assert_refused(await listed(status, caller, query), 400, "INVALID_DATA_ERROR")
