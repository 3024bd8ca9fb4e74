"""Deliveries go when they are old, and webhooks with the client who had them."""

from datetime import timedelta

from admin.erase import erase_subject
from exhaust.postgres.database import Database
from exhaust.postgres.erasure import find_subject
from exhaust.postgres.retention import Prunable, count_prunable, prune_batch
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from tests.integration.webhooks.conftest import Hooks

URL = "https://receiver.example.org/"
KEEP = timedelta(days=30)


async def test_old_deliveries_go_and_young_ones_stay(hooks: Hooks, owner_database: Database) -> None:
    user = await hooks.user()
    await hooks.create(URL, user_id=user)
    await hooks.end_request(user)
    await owner_database.fetch("UPDATE webhook_deliveries SET created_at = now() - interval '31 days'")
    kept = await hooks.end_request(user)
    assert await count_prunable(owner_database, Prunable.WEBHOOK_DELIVERIES, KEEP) == (1, 2)
    assert await prune_batch(hooks.database, Prunable.WEBHOOK_DELIVERIES, KEEP) == 1
    assert [row["request_id"] for row in await hooks.deliveries()] == [kept]


async def test_no_delivery_goes_before_its_last_attempt(hooks: Hooks, owner_database: Database) -> None:
    user = await hooks.user()
    await hooks.create(URL, user_id=user)
    await hooks.end_request(user)
    await owner_database.fetch("UPDATE webhook_deliveries SET created_at = now() - interval '3 days 23 hours'")
    assert await prune_batch(hooks.database, Prunable.WEBHOOK_DELIVERIES, timedelta(0)) == 0


async def test_webhooks_go_with_their_client(
    hooks: Hooks, owner_database: Database, objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    user, other = await hooks.user(), await hooks.user()
    for holder in (user, other):
        await hooks.create(URL, user_id=holder)
        request_id = await hooks.end_request(holder)
        await owner_database.fetch("DELETE FROM outbox WHERE request_id = $1", request_id)
    (row,) = await owner_database.fetch("SELECT client_name FROM data_exhaust_users WHERE id = $1", user)
    subject = await find_subject(owner_database, client=row["client_name"], username=None)
    bucket = s3_settings.s3_exhaust_bucket
    receipt = await erase_subject(owner_database, objects, bucket, subject, actor="operator/tests", batch=1)
    assert (receipt["erased"]["webhooks"], receipt["erased"]["webhook_deliveries"]) == (1, 1)
    assert [row["user_id"] for row in await owner_database.fetch("SELECT user_id FROM webhooks")] == [other]
    assert [row["request_id"] for row in await hooks.deliveries()] == [request_id]


async def test_whose_grant_was_withdrawn_is_told_nothing_of_a_request(hooks: Hooks, owner_database: Database) -> None:
    user, other = await hooks.user(), await hooks.user()
    for holder in (user, other):
        await hooks.create(URL, user_id=holder)
    await owner_database.fetch("DELETE FROM data_exhaust_users_resources WHERE user_id = $1", user)
    await hooks.end_request(user)
    kept = await hooks.end_request(other)
    assert [row["request_id"] for row in await hooks.deliveries()] == [kept]
