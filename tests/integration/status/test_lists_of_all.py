"""The requests of all partners of a caller in pages."""

from urllib.parse import quote

import pytest

from exhaust.postgres.database import Database
from telemetry.resource_ids import resource_id
from tests.integration.conftest import RESOURCE, Reply, RequestFactory, assert_refused, envelope
from tests.integration.status.conftest import Status, grant, headers, listed

OTHER_PARTNER, STRANGER = "org.example.other", "org.example.stranger"


async def listed_all(status: Status, caller: int, query: str = "") -> Reply:
    return await status.call(f"/v2/datasets/requests{query}", envelope({}), headers=headers(caller))


@pytest.fixture
async def of_two(owner_database: Database, caller: int) -> int:
    """Acts for two partners, and may read the resource that all requests are for."""
    return await grant(owner_database, caller, resource_id(OTHER_PARTNER))


async def test_requests_of_all_partners_are_listed_newest_first_in_pages(
    status: Status, request_factory: RequestFactory, of_two: int
) -> None:
    made = []
    for _ in range(3):
        made.append(await request_factory.request(user_id=of_two))
        made.append(await request_factory.request(partner=OTHER_PARTNER))
        await request_factory.request(partner=STRANGER)
    seen: list[str] = []
    query = "?limit=4"
    while True:
        result = (await listed_all(status, of_two, query)).body["result"]
        seen += [entry["requestid"] for entry in result["requests"]]
        if "next" not in result:
            break
        query = f"?limit=4&next={quote(result['next'])}"
    assert seen == [str(request_id) for request_id in reversed(made)]


async def test_an_entry_is_that_of_the_partners_own_list(
    status: Status, request_factory: RequestFactory, caller: int
) -> None:
    await request_factory.request(user_id=caller)
    assert (await listed_all(status, caller)).body["result"] == (await listed(status, caller)).body["result"]


async def test_a_grant_on_the_partner_alone_shows_no_request_for_another_resource(
    status: Status, request_factory: RequestFactory, owner_database: Database
) -> None:
    user = await grant(owner_database, await request_factory.user(), resource_id(OTHER_PARTNER))
    await request_factory.request(user_id=user, partner=OTHER_PARTNER)
    assert (await listed_all(status, user)).body["result"] == {"requests": []}
    await grant(owner_database, user, RESOURCE)
    assert len((await listed_all(status, user)).body["result"]["requests"]) == 1


async def test_somebody_without_grants_sees_nothing(status: Status, request_factory: RequestFactory) -> None:
    user = await request_factory.user()
    await request_factory.request(user_id=user)
    assert (await listed_all(status, user)).body["result"] == {"requests": []}


@pytest.mark.parametrize("query", ["?limit=0", "?next=x", "?wait=1"])
async def test_a_malformed_page_cursor_is_refused(status: Status, caller: int, query: str) -> None:
    assert_refused(await listed_all(status, caller, query), 400, "INVALID_DATA_ERROR")
