"""What happens to a request arrives at its owner's webhooks: signed, at least once, held up by nobody else."""

import asyncio
import time
from datetime import timedelta
from statistics import quantiles
from uuid import UUID

from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from exhaust.domain.state_machine import State
from exhaust.postgres.request_commands import cancel_request
from exhaust.postgres.webhook_claims import claim_deliveries
from exhaust.postgres.webhook_deliveries import replay
from exhaust.postgres.webhooks import WebhookOwner
from exhaust.webhooks.secrets import new_secret, written_secret
from tests.integration.webhooks.conftest import Hooks, Receiver, open_receiver

FAILURE = {"code": "SOURCE_OBJECT_UNREADABLE", "message": "words of a worker, with a password in them"}


async def test_the_end_of_a_request_is_told_and_verified(
    hooks: Hooks, receiver: Receiver, runtime_dsn: SecretStr
) -> None:
    user = await hooks.user()
    _, verifier = await hooks.create(f"{receiver.base}/in", user_id=user)
    async with hooks.deliverer(listening=runtime_dsn):
        request_id = await hooks.end_request(user, State.FAILED, **FAILURE)
        ((headers, body),) = await receiver.wait_for(1)
        (delivery,) = await hooks.until(lambda found: found[0]["state"] == "delivered")
    told = verifier.verify(body, headers)
    assert told["type"] == "request.failed"
    assert (told["data"]["requestid"], told["data"]["error"]["code"]) == (str(request_id), FAILURE["code"])
    assert b"password" not in body
    assert headers["webhook-id"] == f"msg_{delivery['delivery_id'].hex}"
    assert (delivery["attempt"], delivery["http_status"], delivery["next_at"]) == (1, 204, None)


async def test_a_cancelled_request_is_told_as_failed(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    _, verifier = await hooks.create(receiver.base, user_id=user)
    request_id = await hooks.requests.request(user_id=user)
    await cancel_request(hooks.database, request_id, actor=f"user/{user}")
    async with hooks.deliverer():
        ((headers, body),) = await receiver.wait_for(1)
    assert verifier.verify(body, headers)["data"]["error"]["code"] == "CANCELLED"


async def test_events_are_written_with_the_end_and_only_with_it(hooks: Hooks) -> None:
    user, other = await hooks.user(), await hooks.user()
    await hooks.create("https://receiver.example.org/", user_id=user)
    await hooks.create("https://receiver.example.org/", user_id=user, events=["request.failed"])
    await hooks.create("https://receiver.example.org/", user_id=other)
    request_id = await hooks.requests.request(user_id=user)
    await hooks.move(request_id, State.INPROGRESS)
    assert await hooks.deliveries() == []
    async with hooks.database.transaction(dry_run=True) as connection:
        assert await connection.execute("UPDATE requests SET state = 'complete' WHERE request_id = $1", request_id) == 1
    assert await hooks.deliveries() == []
    for _ in range(2):  # the second report of the same end is none
        await hooks.move(request_id, State.COMPLETE)
    assert [row["event"] for row in await hooks.deliveries()] == ["request.complete"]


async def test_a_receiver_that_asks_for_time_gets_it(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    await hooks.create(receiver.base, user_id=user)
    await hooks.end_request(user)
    receiver.statuses, receiver.retry_after = [429], "3600"
    async with hooks.deliverer():
        (delivery,) = await hooks.until(lambda found: found[0]["http_status"] == 429)
    wait = delivery["next_at"] - delivery["tried_at"]
    assert timedelta(hours=1) <= wait < timedelta(hours=1.3)


async def test_a_failed_attempt_is_tried_again_under_the_same_id(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    _, verifier = await hooks.create(receiver.base, user_id=user)
    await hooks.end_request(user)
    receiver.statuses = [500, 302]
    async with hooks.deliverer() as deliverer:
        for attempt in (1, 2):
            await receiver.wait_for(attempt)
            (delivery,) = await hooks.until(lambda found: found[0]["claimed_until"] is None)
            assert (delivery["state"], delivery["failures"]) == ("waiting", attempt)
            await hooks.database.fetch("UPDATE webhook_deliveries SET next_at = now()")
            deliverer.wake.set()
        await receiver.wait_for(3)
        await hooks.until(lambda found: found[0]["state"] == "delivered")
    assert len({headers["webhook-id"] for headers, _ in receiver.arrived}) == 1
    assert {headers["Host"] for headers, _ in receiver.arrived} == {receiver.base.removeprefix("http://")}
    for headers, body in receiver.arrived:
        verifier.verify(body, headers)


async def test_a_claim_that_runs_out_is_sent_by_another(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    await hooks.create(receiver.base, user_id=user)
    await hooks.end_request(user)
    lease = timedelta(seconds=0.2)
    (claimed,) = await claim_deliveries(hooks.database, slow=False, share=4, limit=9, claim_for=lease)
    assert await claim_deliveries(hooks.database, slow=False, share=4, limit=9, claim_for=lease) == []
    await hooks.database.fetch("SELECT pg_sleep(0.25)")
    async with hooks.deliverer():
        ((headers, _),) = await receiver.wait_for(1)
        (delivery,) = await hooks.until(lambda found: found[0]["state"] == "delivered")
    assert headers["webhook-id"] == f"msg_{claimed.delivery_id.hex}"
    assert delivery["attempt"] == 2


async def test_410_switches_a_webhook_off_and_a_replay_brings_what_it_missed(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    webhook, _ = await hooks.create(receiver.base, user_id=user)
    owner = WebhookOwner(hooks.database, user)
    receiver.statuses = [410]
    first = await hooks.end_request(user)
    async with hooks.deliverer() as deliverer:
        await hooks.until(lambda found: found[0]["state"] == "failed")
        off = await owner.find(webhook.webhook_id)
        assert (off.off_reason, off.off_since is not None) == ("gone", True)
        second = await hooks.end_request(user)
        assert [row["state"] for row in await hooks.deliveries()] == ["failed", "skipped"]
        await owner.change(webhook.webhook_id, url=None, events=None, enabled=True)
        assert await replay(hooks.database, user, webhook.webhook_id, since=webhook.created_at) == 2
        deliverer.wake.set()
        await hooks.until(lambda found: all(row["state"] == "delivered" for row in found))
    assert {UUID(row["data"]["requestid"]) for row in await hooks.deliveries()} == {first, second}


async def test_a_webhook_that_fails_for_five_days_is_switched_off(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    webhook, _ = await hooks.create(receiver.base, user_id=user)
    receiver.statuses = [500, 500]
    await hooks.end_request(user)
    owner = WebhookOwner(hooks.database, user)
    async with hooks.deliverer() as deliverer:
        await hooks.until(lambda found: found[0]["failures"] == 1)
        failing = await owner.find(webhook.webhook_id)
        assert (failing.off_since, failing.failing_since is not None) == (None, True)
        await hooks.database.fetch("UPDATE webhooks SET failing_since = now() - interval '5 days 1 minute'")
        await hooks.database.fetch("UPDATE webhook_deliveries SET next_at = now()")
        deliverer.wake.set()
        await hooks.until(lambda found: found[0]["state"] == "skipped")
    assert (await owner.find(webhook.webhook_id)).off_reason == "failing"


async def test_a_dead_and_a_slow_receiver_delay_nobody_else(hooks: Hooks, receiver: Receiver) -> None:
    user, other = await hooks.user(), await hooks.user()
    async with open_receiver() as dead:
        dead.hold = asyncio.Event()
        await hooks.create(dead.base, user_id=other)
        for _ in range(20):
            await hooks.end_request(other)
        async with hooks.deliverer() as deliverer:
            await dead.wait_for(4)
            await hooks.create(receiver.base, user_id=user)
            for _ in range(20):
                await hooks.end_request(user)
            deliverer.wake.set()
            await receiver.wait_for(20)
            assert len(dead.arrived) == 4  # its share
            dead.hold.set()
            await dead.wait_for(20)


async def test_both_secrets_sign_for_a_day_after_a_rotation(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    webhook, old = await hooks.create(receiver.base, user_id=user)
    secret = new_secret()
    sealed = hooks.seal.seal(secret, webhook.webhook_id)
    await WebhookOwner(hooks.database, user).rotate(webhook.webhook_id, sealed)
    await hooks.end_request(user)
    async with hooks.deliverer() as deliverer:
        ((headers, body),) = await receiver.wait_for(1)
        for verifier in (old, Webhook(written_secret(secret))):
            verifier.verify(body, headers)
        await hooks.database.fetch("UPDATE webhooks SET old_secret_until = now()")
        await hooks.end_request(user)
        deliverer.wake.set()
        await receiver.wait_for(2)
    assert len(receiver.arrived[1][0]["webhook-signature"].split()) == 1


async def test_nothing_is_told_once_no_key_of_its_owner_is_valid(hooks: Hooks, receiver: Receiver) -> None:
    user = await hooks.user()
    await hooks.create(receiver.base, user_id=user)
    await hooks.end_request(user)
    await hooks.database.fetch("UPDATE license_keys SET revoked_at = now() WHERE user_id = $1", user)
    await hooks.end_request(user)
    assert await claim_deliveries(hooks.database, slow=False, share=4, limit=9, claim_for=timedelta(seconds=9)) == []
    assert len(await hooks.deliveries()) == 1


async def test_events_arrive_within_two_seconds(hooks: Hooks, receiver: Receiver, runtime_dsn: SecretStr) -> None:
    user = await hooks.user()
    await hooks.create(receiver.base, user_id=user)
    took = []
    async with hooks.deliverer(listening=runtime_dsn):
        for number in range(1, 41):
            started = time.monotonic()
            await hooks.end_request(user)
            await receiver.wait_for(number)
            took.append(time.monotonic() - started)
    p95 = quantiles(took, n=20)[-1]
    print(f"\nevent to delivery: p95 {p95 * 1000:.0f} ms")
    assert p95 < 2
