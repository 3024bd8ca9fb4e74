"""What becomes of a download: it expires and can be built again, and the audit says who had it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack
from exhaust.postgres.database import Database
from exhaust.s3.store import ObjectStore
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import Partner, resource_of
from tests.support.s3_operations import delete_object

DATASET = "eks-consumption-raw"
RETENTION_DAYS = 7  # of the dataset, in the catalogue


async def test_a_download_expires_and_a_new_submit_builds_it_again(
    partner: Partner,
    stack: Stack,
    raw_days: dict[str, object],
    objects: ObjectStore,
    owner_database: Database,
) -> None:
    assert raw_days
    owner = PLAN.channel_ids[1]
    path = f"{DATASET}/{resource_of(owner)}/{FIRST}/{FIRST}"
    await partner.grant(owner)
    request_id = (await partner.submit(path, partner_id=owner)).result["requestid"]
    fresh = await partner.finished(request_id)
    kept_until = datetime.fromisoformat(fresh["expiresat"])
    assert abs(kept_until - datetime.now(UTC) - timedelta(days=RETENTION_DAYS)) < timedelta(minutes=5)
    assert "expired" not in fresh
    first = await partner.download(fresh)

    await owner_database.fetch_one(
        "UPDATE requests SET ended_at = ended_at - $2::interval WHERE request_id = $1 RETURNING request_id",
        *(request_id, timedelta(days=RETENTION_DAYS, minutes=1)),
    )
    # What the bucket's rules do.
    place = f"{DATASET}/{resource_of(owner)}/{FIRST}/"
    for prefix in (f"requests/{request_id}/", f"records/{place}", f"days/{place}"):
        gone = [found.key async for found in objects.list(stack.s3.exhaust_bucket, prefix)]
        assert gone
        for key in gone:
            await delete_object(s3_settings(stack.s3), stack.s3.exhaust_bucket, key)

    late = (await partner.status(request_id)).result
    assert (late["status"], late["expired"], "downloadurl" in late) == ("complete", True, False)
    assert datetime.fromisoformat(late["expiresat"]) < datetime.now(UTC)
    again = (await partner.submit(path, partner_id=owner)).result["requestid"]
    assert again != request_id
    rebuilt = await partner.finished(again)
    assert await partner.download(rebuilt) == first
    async with partner.http.get(fresh["downloadurl"]) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_a_download_leaves_a_line_in_the_audit(
    partner: Partner, stack: Stack, raw_days: dict[str, object], owner_database: Database, version: str
) -> None:
    assert raw_days
    owner, last = PLAN.channel_ids[2], FIRST + timedelta(days=1)
    resource = resource_of(owner)
    await partner.grant(owner)
    root = {"v1": "/v1/datasets", "v3": "/data/v3/datasets"}[version]
    url = f"{stack.gateway}{root}/{DATASET}/{resource}/{FIRST}/{last}"
    key = {"X-API-Key": partner.license_key, "X-Channel-ID": owner}
    async with partner.http.head(url, headers=key) as told:
        assert told.status == 200
        etag = told.headers["ETag"]

    async def downloads() -> list[tuple[str, dict[str, Any]]]:
        rows = await owner_database.fetch(
            "SELECT subject, detail FROM audit WHERE action = 'download' AND actor = ("
            " SELECT 'user/' || id FROM data_exhaust_users WHERE client_name = $1)",
            partner.name,
        )
        return [(row["subject"], row["detail"]) for row in rows]

    async with partner.http.get(url, headers=key | {"If-None-Match": etag}) as known:
        assert known.status == 304
    async with partner.http.get(url, headers=key | {"X-API-Key": "wrong"}) as refused:
        assert refused.status == 401
    assert await downloads() == []
    async with partner.http.get(url, headers=key) as got:
        assert got.status == 200
        await got.read()
    asked = {"dataset": DATASET, "from": str(FIRST), "to": str(last)}
    assert await downloads() == [(f"resource/{resource}", asked)]
    async with partner.http.get(url, headers=key | {"Range": "bytes=1-"}) as part:
        assert part.status == 206
        await part.read()
    assert len(await downloads()) == 2
