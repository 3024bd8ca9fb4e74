"""Records and objects that nobody can work on, and positions that were set back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from exhaust.kafka.producer import open_producer
from exhaust.postgres.request_commands import retry_request
from exhaust.settings import KafkaSettings, TopicSettings
from schemas.events import TOPIC_DAYS, TOPIC_REQUESTS
from tests.attacks.topics import kafka_options
from tests.recovery.figures import Figure, by_number
from tests.recovery.load import Load, flows_again, load
from tests.recovery.servers import BAR_S, ended_well
from tests.recovery.testbed import OWNER, PLAN, until
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from tests.recovery.testbed import Testbed

REQUESTS: Final = 40
LIMIT: Final = 50  # of dead letters, the default
_OURS: Final = [("ce_source", b"/telemetry-exhaust/gateway")]
_PARTITIONS: Final = TopicSettings.model_fields["kafka_partitions"].default
GROUPS: Final = {"aggregator-plan": TOPIC_REQUESTS, "aggregator-build": TOPIC_DAYS}


async def dead_letters(bed: Testbed) -> list[Figure]:
    """One record in three on the topics of the aggregator is one that nobody can work on."""
    bed.mark_logs()
    async with load(bed) as made, open_producer(_settings(bed)) as producer:
        for number in range(REQUESTS // 2):
            topic = (TOPIC_REQUESTS, TOPIC_DAYS)[number % 2]
            await producer.send_raw(topic, b"key", b"this is no JSON", [("ce_source", b"/somebody/else")])
            await asyncio.sleep(0.5)
        flowing = await flows_again(bed)
    completed = await made.all_complete()
    return [
        Figure("records that are no events", str(REQUESTS // 2)),
        Figure("a request that is submitted then is complete after", flowing, BAR_S),
        Figure("from the last submit until all that was accepted is complete", completed),
        *await ended_well(bed, made),
    ]


async def dead_letter_limit(bed: Testbed) -> list[Figure]:
    """A release of ours writes requests that nobody can read; then they are passed over."""
    assert await bed.others["aggregator-2"].stop() == 0
    del bed.logs["aggregator-2"], bed.others["aggregator-2"]
    bed.mark_logs()
    began = time.monotonic()
    async with open_producer(_settings(bed)) as producer:
        for number in range(2 * LIMIT):
            await producer.send_raw(TOPIC_REQUESTS, str(number).encode(), b'{"release": "bad"}', _OURS)
    await until(lambda: _is_held(bed))
    held = time.monotonic() - began
    ready = await bed.is_ready("aggregator")
    buried = await bed.metric("aggregator", "exhaust_dead_letters_total")
    made = Load(bed)
    for _ in range(5):
        await made.submit()
    waiting = await bed.states(made.accepted)
    await _ended(bed, "aggregator")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EXHAUST_DEAD_LETTER_LIMIT", "1000")
        began = time.monotonic()
        await bed.restart()
        flowing = await flows_again(bed)
    await made.all_complete()
    return [
        Figure("from the first bad record until the consumer holds", held, BAR_S),
        Figure("dead letters by then", f"{buried:.0f} of {2 * LIMIT}"),
        Figure("the aggregator is ready", "yes" if ready else "no"),
        Figure("requests that are submitted meanwhile", f"{made.told()}; then {by_number(waiting)}"),
        Figure(
            "from a start with `EXHAUST_DEAD_LETTER_LIMIT=1000` until a request that is submitted then is complete",
            time.monotonic() - began,
            BAR_S,
        ),
        Figure("of that, after it was ready", flowing),
        *await ended_well(bed, made),
    ]


async def _is_held(bed: Testbed) -> bool:
    return await bed.metric("aggregator", "exhaust_consumer_held") > 0


async def group_set_back(bed: Testbed) -> list[Figure]:
    """Both groups of the aggregators are set back to the beginning while no aggregator runs."""
    made = Load(bed)
    for _ in range(REQUESTS):
        await made.submit()
    await made.all_complete()
    assert await bed.others["aggregator-2"].stop() == 0
    del bed.logs["aggregator-2"], bed.others["aggregator-2"]
    await _ended(bed, "aggregator")
    await set_back(bed)
    bed.mark_logs()
    began = time.monotonic()
    await bed.restart()
    flowing = await flows_again(bed)
    await until(lambda: _is_through(bed))
    again = time.monotonic() - began
    return [
        Figure("from the start of the aggregator until a request that is submitted then is complete", flowing, BAR_S),
        Figure(f"from its start until the records of {REQUESTS} requests that had ended are passed over", again),
        Figure("days that were built again", f"{await bed.metric('aggregator', _BUILT) - 1:.0f}"),
        *await ended_well(bed, made),
    ]


_BUILT: Final = 'exhaust_days_total{outcome="built"'


async def _ended(bed: Testbed, name: str) -> None:
    pid = bed.stack.processes[name]
    os.kill(pid, signal.SIGTERM)

    async def gone() -> bool:
        return not await bed.is_ready(name)

    await until(gone)
    await asyncio.sleep(1)


async def set_back(bed: Testbed) -> None:
    """Set both groups of the aggregators back to the beginning; none of their members may run."""
    for group, topic in GROUPS.items():
        consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **kafka_options(bed.stack))
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(_PARTITIONS)]
            consumer.assign(places)
            await consumer.commit(dict.fromkeys(places, 0))
        finally:
            await consumer.stop()


async def _is_through(bed: Testbed) -> bool:
    told = bed.logs["aggregator"].told()
    planned = sum(line.get("event") in {"request.planned", "request.ended_already"} for line in told)
    found = sum(line.get("event") == "request.ended_already" or line.get("reused") is True for line in told)
    return planned > REQUESTS and found >= REQUESTS


async def raw_object_damaged(bed: Testbed) -> list[Figure]:
    """A raw object is truncated; later the whole one is put in its place, and the request is tried again."""
    bucket = bed.stack.s3.raw_bucket
    first = PLAN.days[2]
    found = [entry.key async for entry in bed.objects.list(bucket, f"raw/{first}")]
    whole = await bed.objects.get(bucket, found[0])
    await bed.objects.put(bucket, found[0], whole[: len(whole) // 2])
    bed.mark_logs()
    days = f"{PLAN.days[0]}/{PLAN.days[-1]}?tags[]={PLAN.tag_ids[0]}&tags[]={uuid4().hex}"
    began = time.monotonic()
    request = (await bed.partner.submit(f"eks-consumption-raw/{resource_of(OWNER)}/{days}", partner_id=OWNER)).result[
        "requestid"
    ]
    failed = await bed.partner.finished(request)
    took = time.monotonic() - began

    async def partial() -> bool:
        return "partialurl" in (await bed.partner.status(request)).result

    partly = await until(partial)
    await bed.objects.put(bucket, found[0], whole)
    began = time.monotonic()
    await retry_request(bed.database, UUID(request), actor="operator/tests")
    done = await bed.partner.finished(request)
    again = time.monotonic() - began
    return [
        Figure("from the submit until the request has failed", took),
        Figure("what the partner reads", f"`{json.dumps(failed['error'])}`"),
        Figure("from then until there is a partial download", partly),
        Figure("from the retry until the request is complete", again, BAR_S),
        Figure("its status then", f"`{done['status']}`"),
        Figure("log lines, and in parentheses those that warn", bed.log_lines()),
    ]


def _settings(bed: Testbed) -> KafkaSettings:
    stack = bed.stack
    return KafkaSettings.model_validate(
        {
            "kafka_bootstrap": stack.kafka,
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_username": stack.kafka_username,
            "kafka_sasl_password": stack.kafka_password,
        }
    )
