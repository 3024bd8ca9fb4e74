"""v1 and v3 over HTTP: the gateway authenticates callers and creates requests. No archive is built here."""

import pytest

from exhaust.postgres.database import Database
from telemetry.resource_ids import resource_id
from tests.integration.conftest import PARTNER, RESOURCE, Gateway, assert_refused, envelope, today

V1 = f"/v1/datasets/eks-consumption-raw/{RESOURCE}/{today(-3)}/{today(-1)}"
V3 = f"/data/v3/datasets/eks-consumption-raw/{RESOURCE}/{today(-3)}/{today(-1)}"
LONG, UNSEEN = "c" * 300, "in.\u200b"


async def filed(database: Database) -> list[tuple[str, str]]:
    """Partner and resource of every request."""
    rows = await database.fetch("SELECT partner_id, resource FROM requests")
    return [(row["partner_id"], row["resource"]) for row in rows]


@pytest.mark.parametrize(
    ("claimed", "owner"),
    [(PARTNER, PARTNER), ("org.example.other", RESOURCE), (None, RESOURCE), ("", RESOURCE), (RESOURCE, RESOURCE)],
)
async def test_v1_creates_the_request_of_the_partner_that_owns_the_resource(
    gateway: Gateway, database: Database, claimed: str | None, owner: str
) -> None:
    body = envelope({"licenseKey": gateway.license_key, "partnerid": claimed})
    assert_refused(await gateway.call(V1, body), 503, "SERVICE_UNAVAILABLE", ver="1.0")
    assert await filed(database) == [(owner, RESOURCE)]


async def test_get_waits_for_the_request_that_post_created(gateway: Gateway, database: Database) -> None:
    await gateway.call(V1, envelope({"licenseKey": gateway.license_key}))
    by_get = await gateway.call(V1, None, method="GET", headers={"X-API-Key": gateway.license_key})
    assert_refused(by_get, 503, "SERVICE_UNAVAILABLE", ver="1.0")
    assert len(await filed(database)) == 1


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer x.y.z"}])
async def test_get_needs_the_key_in_its_header(gateway: Gateway, database: Database, headers: dict[str, str]) -> None:
    body = envelope({"licenseKey": gateway.license_key})  # a body is not where GET has its key
    assert_refused(await gateway.call(V1, body, method="GET", headers=headers), 401, "LOGIN_FAILED", ver="1.0")
    assert await filed(database) == []


async def test_post_needs_the_key_in_its_body(gateway: Gateway, database: Database) -> None:
    reply = await gateway.call(V1, envelope({}), headers={"X-API-Key": gateway.license_key})
    assert_refused(reply, 401, "LOGIN_FAILED", ver="1.0")
    assert await filed(database) == []


@pytest.mark.parametrize(
    ("channel", "kept"),
    [(PARTNER, PARTNER), (LONG, resource_id(LONG)), (UNSEEN, resource_id(UNSEEN))],
    ids=["plain", "long", "unprintable"],
)
async def test_v3_creates_the_request_of_its_channel(
    gateway: Gateway, database: Database, owner_database: Database, channel: str, kept: str
) -> None:
    resource = resource_id(channel)
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO data_exhaust_users_resources (user_id, resource_id) SELECT id, $1 FROM data_exhaust_users"
            " ON CONFLICT DO NOTHING",
            resource,
        )
    path = V3.replace(RESOURCE, resource)
    headers = {"X-Channel-ID": channel, "X-API-Key": gateway.license_key}
    assert_refused(await gateway.call(path, None, method="GET", headers=headers), 503, "SERVICE_UNAVAILABLE", ver="1.0")
    assert await filed(database) == [(kept, resource)]
