"""What a license key learns of itself, and the lists by GET, over HTTP."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.days import newest_closed_day
from exhaust.postgres.database import Database
from exhaust.postgres.grants import Grant, GrantStore, OwnerKind
from exhaust.postgres.license_keys import KeyStore
from tests.integration.conftest import (
    EXPIRED,
    FULL_SHA1,
    ONE_DATASET,
    PARTNER,
    PEPPERS,
    RESOURCE,
    Gateway,
    Reply,
    assert_refused,
    today,
)


async def get(gateway: Gateway, path: str, license_key: str | None) -> Reply:
    headers = {} if license_key is None else {"X-API-Key": license_key}
    return await gateway.call(path, b"", method="GET", headers=headers)


async def test_a_key_learns_what_it_stands_for(gateway: Gateway) -> None:
    reply = await get(gateway, "/v2/me", gateway.license_key)
    assert reply.status == 200, reply.body
    result = reply.body["result"]
    assert result["client"] == "client"
    key = result["key"]
    assert (key["name"], key["expiresat"], key["proven"]) == ("dashboard", None, True)
    assert abs(datetime.fromisoformat(key["createdat"]) - datetime.now(UTC)) < timedelta(hours=1)
    known = {dataset.id for dataset in load_catalogue(None).by_name.values()}
    assert {dataset["id"] for dataset in result["datasets"]} == known
    around = {newest_closed_day(datetime.now(UTC), ZoneInfo("UTC"), timedelta(hours=4)), today(-1), today(-2)}
    assert result["newestday"] in {day.isoformat() for day in around}
    assert result["limits"]["daysarequest"] == 31
    assert result["limits"]["callsaminute"] == 100_000
    assert gateway.license_key not in str(reply.body)


async def test_a_key_learns_the_grants_in_force_and_no_others(gateway: Gateway, owner_database: Database) -> None:
    end = datetime(2099, 1, 1, tzinfo=UTC)
    store = GrantStore(owner_database)
    await store.add(Grant("client", "dashboard", RESOURCE, None, None, PARTNER, OwnerKind.PARTNER), actor="operator/x")
    await store.add(Grant("client", "dashboard", ONE_DATASET, "channel-raw", end), actor="operator/x")
    grants = (await get(gateway, "/v2/me", gateway.license_key)).body["result"]["grants"]
    of = {grant.pop("resourceid"): grant for grant in grants}
    assert of[RESOURCE] == {"kind": "partner", "id": PARTNER, "dataset": None, "expiresat": None}
    assert of[ONE_DATASET] == {
        "kind": "resource",
        "id": None,
        "dataset": "channel-raw",
        "expiresat": "2099-01-01T00:00:00+00:00",
    }
    assert set(of) == {RESOURCE, ONE_DATASET, FULL_SHA1[:32]}
    assert EXPIRED not in of


async def test_a_key_that_ends_learns_when(gateway: Gateway, owner_database: Database) -> None:
    new = await KeyStore(owner_database, PEPPERS).rotate("client", "dashboard", actor="operator/x")
    old = (await get(gateway, "/v2/me", gateway.license_key)).body["result"]["key"]
    assert datetime.fromisoformat(old["expiresat"]) > datetime.now(UTC)
    assert (await get(gateway, "/v2/me", new)).body["result"]["key"]["id"] > old["id"]
    await KeyStore(owner_database, PEPPERS).revoke("client", "dashboard", actor="operator/x", number=old["id"])
    assert_refused(await get(gateway, "/v2/me", gateway.license_key), 401, "LOGIN_FAILED")


@pytest.mark.parametrize("path", ["/v2/me", "/v2/datasets/requests", f"/v2/datasets/requests/{PARTNER}"])
@pytest.mark.parametrize("license_key", [None, "", "61d81fac-cc60-4f2f-9fe7-daef674af21a"])
async def test_reads_want_a_license_key(gateway: Gateway, path: str, license_key: str | None) -> None:
    assert_refused(await get(gateway, path, license_key), 401, "LOGIN_FAILED")


async def test_a_list_by_get_is_for_who_acts_for_the_partner(gateway: Gateway) -> None:
    foreign = await get(gateway, "/v2/datasets/requests/org.example.stranger", gateway.license_key)
    assert_refused(foreign, 403, "AUTHORIZATION_FAILED")
    for path in (f"/v2/datasets/requests/{PARTNER}?limit=2", "/v2/datasets/requests?limit=2"):
        # The status service, which is away here, answers whoever comes so far.
        assert_refused(await get(gateway, path, gateway.license_key), 503, "SERVICE_UNAVAILABLE")
