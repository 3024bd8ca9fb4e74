"""The quotas of what is built for a license key, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import (
    PARTNER,
    RESOURCE,
    Ask,
    assert_refused,
    envelope,
    today,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.postgres.database import Database
    from tests.integration.conftest import Gateway, Reply

DAYS = f"eks-consumption-raw/{RESOURCE}/{today(-3)}/{today(-1)}"
A_DAY = timedelta(days=1).total_seconds()
BUILT = """
INSERT INTO key_usage (user_id, day, days_built, bytes_built)
SELECT id, (now() AT TIME ZONE 'UTC')::date - $1::integer, $2, $3 FROM data_exhaust_users
"""


async def build(owner: Database, days: int, size: int, *, ago: int = 0) -> None:
    """Count days and bytes for every client that there is."""
    async with owner.transaction() as connection:
        await connection.execute(BUILT, ago, days, size)


async def by_each_version(gateway: Gateway, tag: str) -> Mapping[str, Reply]:
    key = {"licenseKey": gateway.license_key}
    headers = {"X-API-Key": gateway.license_key}
    return {
        "v2": await gateway.ask(Ask(query=f"?tags[]={tag}")),
        "v1": await gateway.call(f"/v1/datasets/{DAYS}", envelope(key)),
        "v1 by GET": await gateway.call(f"/v1/datasets/{DAYS}", None, method="GET", headers=headers),
        "v3": await gateway.call(
            f"/data/v3/datasets/{DAYS}", None, method="GET", headers=headers | {"X-Channel-ID": PARTNER}
        ),
    }


@pytest.mark.parametrize(("days", "size", "quota"), [(10_000, 0, "days built"), (1, 1024**4, "bytes built")])
async def test_a_used_up_quota_refuses_new_requests_of_every_version(
    gateway: Gateway, owner_database: Database, database: Database, days: int, size: int, quota: str
) -> None:
    open_before = await gateway.ask(Ask(query="?tags[]=before"))
    await build(owner_database, days, size)
    before = await written(database)
    for ver, reply in (await by_each_version(gateway, "after")).items():
        assert_refused(reply, 429, "RATE_LIMITED", ver="2.0" if ver == "v2" else "1.0")
        assert quota in reply.body["params"]["errmsg"]
        assert f"{today(1)}T00:00:00Z" in reply.body["params"]["errmsg"]
        assert 0 < int(reply.headers["Retry-After"]) <= A_DAY
    assert await written(database) == before
    # What was accepted goes on, and is found again.
    assert (await gateway.ask(Ask(query="?tags[]=before"))).requestid == open_before.requestid


async def test_a_quota_that_is_not_used_up_today_refuses_nothing(gateway: Gateway, owner_database: Database) -> None:
    await build(owner_database, 9_999, 1024**4 - 1)
    await build(owner_database, 10_000, 1024**4, ago=1)
    statuses = {ver: reply.status for ver, reply in (await by_each_version(gateway, "x")).items()}
    assert statuses == {"v2": 202, "v1": 503, "v1 by GET": 503, "v3": 503}  # nobody builds what they wait for


async def test_a_quota_is_of_one_key(gateway: Gateway, owner_database: Database) -> None:
    await build(owner_database, 10_000, 0)
    other = envelope({"clientName": "other", "licenseKeyName": "dashboard"})
    registered = (await gateway.call("/v1/client", other)).body["result"]["licenseKey"]
    async with owner_database.transaction() as connection:
        await connection.execute(
            "INSERT INTO data_exhaust_users_resources (user_id, resource_id)"
            " SELECT id, $1 FROM data_exhaust_users WHERE client_name = 'other'",
            RESOURCE,
        )
    assert (await gateway.ask(Ask())).status == 429
    assert (await replace(gateway, license_key=registered).ask(Ask())).status == 202
