"""The outbox: the order of releases, and that no request is lost on the way to Kafka."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.producer import Producer
from exhaust.kafka.records import Record
from exhaust.metrics.registry import MetricRegistry
from exhaust.postgres.database import Database
from exhaust.postgres.outbox import OutboxEntry, claim_entries
from exhaust.postgres.request_views import find_requests
from exhaust.process.health import Health
from exhaust.s3.store import ObjectStore
from schemas.events import TOPIC_REQUESTS, TYPE_REQUESTED, DatasetRequested
from services.gateway.relay import BATCH, Relay, RequestPublisher, release_batch
from services.status.archive_check import ArchiveCheck
from services.status.request_states import Reaped, RequestStates
from telemetry.resource_ids import resource_id
from tests.integration.conftest import LONG_AGO, RequestFactory
from tests.support.kafka_cluster import KafkaTestSettings
from tests.support.outbox import CLAIM_FOR, Topic, release, waiting

A, B = "org.example.a", "org.example.b"
DEADLINE_S = 30


def error_code(error: BaseException) -> ErrorCode | None:
    return error.code if isinstance(error, ExhaustError) else None


async def finish(database: Database, request_id: UUID, state: State) -> None:
    async with database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = $2 WHERE request_id = $1", request_id, state)


async def test_partners_take_turns_and_short_requests_go_first(
    database: Database, request_factory: RequestFactory
) -> None:
    a_long = await request_factory.request(partner=A, days=31)
    a_middle = await request_factory.request(partner=A, days=7)
    a_short = await request_factory.request(partner=A, days=2)
    b_long = await request_factory.request(partner=B, days=5)
    b_short = await request_factory.request(partner=B, days=1)
    assert await release(database, Topic()) == [b_short, a_short, b_long, a_middle, a_long]
    assert await waiting(database) == set()


async def test_of_equal_requests_the_oldest_goes_first(database: Database, request_factory: RequestFactory) -> None:
    filed = [await request_factory.request(partner=A, days=3) for _ in range(3)]
    assert await release(database, Topic()) == filed


@pytest.mark.parametrize(
    ("submitted_by", "granted", "owner"),
    [
        (A, None, A),
        (B, A, A),  # who asks by the hash alone is served by what any grant names
        (B, None, None),
        (B, "somebody else", None),  # written by hand, with another hash
    ],
)
async def test_the_event_names_the_owner_whom_the_request_or_a_grant_names(
    database: Database, owner_database: Database, request_factory: RequestFactory,
    submitted_by: str, granted: str | None, owner: str | None,
) -> None:  # fmt: skip
    request_id = await request_factory.request(partner=submitted_by)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET resource = $2 WHERE request_id = $1", request_id, resource_id(A))
        await connection.execute(
            "INSERT INTO data_exhaust_users_resources (user_id, resource_id, owner)"
            " SELECT user_id, $2, $3 FROM requests WHERE request_id = $1",
            *(request_id, resource_id(A), granted),
        )
    [entry] = await claim_entries(database, max_in_flight_per_partner=4, limit=10, claim_for=timedelta(minutes=1))
    assert entry.owner == owner


async def test_the_relay_publishes_the_submitted_request(database: Database, request_factory: RequestFactory) -> None:
    request_id = await request_factory.request(partner=A, days=3)
    handed: list[OutboxEntry] = []

    async def publish(one: OutboxEntry) -> None:
        handed.append(one)

    await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
    request = handed[0].request
    assert (request.request_id, request.dataset, request.tags) == (
        request_id,
        "eks-consumption-raw",
        (str(request_id),),
    )
    assert (request.days.first, request.days.last) == (LONG_AGO, LONG_AGO + timedelta(days=2))
    assert (handed[0].attempt, handed[0].traceparent) == (1, "")


@pytest.mark.parametrize("end", [State.COMPLETE, State.FAILED])
async def test_a_partner_has_a_limit_of_released_and_unfinished_requests(
    database: Database, request_factory: RequestFactory, end: State
) -> None:
    of_a = [await request_factory.request(partner=A) for _ in range(4)]
    of_b = [await request_factory.request(partner=B) for _ in range(1)]
    topic = Topic()
    assert await release(database, topic, limit=2) == [of_a[0], of_b[0], of_a[1]]
    assert await release(database, topic, limit=2) == []
    await finish(database, of_a[0], State.INPROGRESS)
    assert await release(database, topic, limit=2) == []
    await finish(database, of_a[0], end)
    assert await release(database, topic, limit=2) == [of_a[2]]
    assert await waiting(database) == {of_a[3]}


async def test_more_than_a_batch_takes_more_than_one_round(database: Database, request_factory: RequestFactory) -> None:
    user_id = await request_factory.user()
    filed = {await request_factory.request(user_id=user_id, partner=A) for _ in range(BATCH + 2)}
    topic = Topic()
    assert len(await release(database, topic, limit=1000)) == BATCH
    assert len(await release(database, topic, limit=1000)) == 2
    assert set(topic.taken) == filed


async def test_a_request_that_cannot_be_published_stays_in_the_outbox(
    database: Database, request_factory: RequestFactory
) -> None:
    filed = [await request_factory.request(partner=A) for _ in range(3)]
    topic = Topic(fails_at=0)
    batch = await release_batch(database, topic.publish, max_in_flight_per_partner=100, claim_for=CLAIM_FOR)
    assert batch.released == 0
    assert [error_code(failure) for failure in batch.failures] == [ErrorCode.SERVICE_UNAVAILABLE] * 3
    assert await waiting(database) == set(filed)
    topic.fails_at = None
    assert await release(database, topic) == filed


async def test_a_failed_publish_among_others_stays_in_the_outbox(
    database: Database, request_factory: RequestFactory
) -> None:
    filed = {await request_factory.request(partner=A) for _ in range(3)}
    topic = Topic(fails_at=2)
    batch = await release_batch(database, topic.publish, max_in_flight_per_partner=100, claim_for=CLAIM_FOR)
    assert (batch.released, len(topic.taken)) == (2, 2)
    assert [error_code(failure) for failure in batch.failures] == [ErrorCode.SERVICE_UNAVAILABLE]
    topic.fails_at = None
    await release(database, topic)
    assert set(topic.taken) == filed
    assert await waiting(database) == set()


async def test_the_relay_counts_released_requests_when_one_publish_fails(
    database: Database, request_factory: RequestFactory
) -> None:
    for _ in range(3):
        await request_factory.request(partner=A)
    topic, registry = Topic(fails_at=2), MetricRegistry()
    relay = Relay(database, topic.publish, registry, max_in_flight_per_partner=100, claim_for=CLAIM_FOR)
    assert await relay.release() == 2
    assert registry.get_sample_value("exhaust_relay_released_total") == 2
    topic.fails_at = None
    assert await relay.release() == 1
    assert registry.get_sample_value("exhaust_relay_released_total") == 3


async def test_the_relay_parks_a_request_with_an_unexpected_error_and_releases_the_others(
    database: Database, request_factory: RequestFactory
) -> None:
    filed = [await request_factory.request(partner=A) for _ in range(3)]
    registry = MetricRegistry()

    async def publish(entry: OutboxEntry) -> None:
        if entry.request.request_id == filed[0]:
            raise LookupError("a fault of ours")

    relay = Relay(database, publish, registry, max_in_flight_per_partner=100, claim_for=CLAIM_FOR)
    assert await relay.release() == 3
    assert registry.get_sample_value("exhaust_relay_released_total") == 2
    assert registry.get_sample_value("exhaust_relay_parked_total") == 1
    assert await waiting(database) == {filed[0]}
    assert await relay.release() == 0


async def test_a_release_waits_for_all_its_publishes_when_one_fails(
    database: Database, request_factory: RequestFactory
) -> None:
    for _ in range(2):
        await request_factory.request(partner=A)
    started, ended = [], []
    quiet = asyncio.Event()

    async def publish(one: OutboxEntry) -> None:
        started.append(one)
        quiet.clear()
        try:
            if len(started) == 1:
                raise unavailable("Kafka")
            await asyncio.sleep(0.3)  # a slow broker
        finally:
            ended.append(one)
            if len(ended) == len(started):
                quiet.set()

    batch = await release_batch(database, publish, max_in_flight_per_partner=5, claim_for=CLAIM_FOR)
    ended_in_time = len(ended)
    assert [error_code(failure) for failure in batch.failures] == [ErrorCode.SERVICE_UNAVAILABLE]
    await asyncio.wait_for(quiet.wait(), DEADLINE_S)
    assert ended_in_time == len(started)


async def test_two_relays_at_once_release_each_request_once(
    database: Database, request_factory: RequestFactory
) -> None:
    filed = {await request_factory.request(partner=A) for _ in range(5)}
    topic = Topic()

    async def relay() -> int:
        batch = await release_batch(database, topic.publish, max_in_flight_per_partner=100, claim_for=CLAIM_FOR)
        return batch.released

    assert sum(await asyncio.gather(relay(), relay(), relay())) == len(filed)
    assert sorted(topic.taken) == sorted(filed)


async def test_a_request_that_waits_is_never_reaped(
    database: Database, request_factory: RequestFactory, objects: ObjectStore
) -> None:
    request_id = await request_factory.request()
    states = RequestStates(database, load_catalogue(None), ArchiveCheck(objects, "nowhere"))
    assert await states.reap(no_progress_after=timedelta(0), max_attempts=1) == Reaped(0, 0)
    await release(database, Topic())
    assert await states.reap(no_progress_after=timedelta(minutes=1), max_attempts=1) == Reaped(0, 0)
    assert await states.reap(no_progress_after=timedelta(0), max_attempts=1) == Reaped(0, 1)
    found = (await find_requests(database, [request_id])).get(request_id)
    assert found is not None
    assert found.state is State.FAILED


async def test_the_relay_hands_requests_to_kafka(
    database: Database, request_factory: RequestFactory, producer: Producer, kafka_settings: KafkaTestSettings
) -> None:
    request_id = await request_factory.request(partner=A, days=3)
    health = Health()
    received: list[Record] = []

    async def receive(record: Record) -> None:
        if record.key == str(request_id).encode():
            received.append(record)
            health.stop.set()

    relay = Relay(
        database,
        RequestPublisher(producer).publish,
        MetricRegistry(),
        max_in_flight_per_partner=1,
        claim_for=CLAIM_FOR,
    )
    consumer_loop = ConsumerLoop(
        kafka_settings,
        group=f"test-{uuid4()}",
        topic=TOPIC_REQUESTS,
        handle=receive,
        producer=producer,
        concurrency=4,
    )
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(
            relay.run(health, timedelta(milliseconds=100)),
            consumer_loop.run(health.stop, lambda: None, timedelta(seconds=1)),
        )
    assert await waiting(database) == set()
    event = DatasetRequested.model_validate_json(received[0].value)
    assert (event.requestid, event.attempt, event.fromdate) == (request_id, 1, LONG_AGO)
    assert received[0].header("ce_id") == f"{request_id}/1"
    assert received[0].header("ce_type") == TYPE_REQUESTED
