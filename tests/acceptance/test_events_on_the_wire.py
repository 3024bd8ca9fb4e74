"""What the services really send follows the schemas, and carries no secret."""

import asyncio
import json
from datetime import datetime, timedelta
from importlib import resources
from uuid import uuid4

import jsonschema_rs

from deploy.local.kafka_settings import kafka_fields
from deploy.local.stack import Stack
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.producer import open_producer
from exhaust.kafka.records import Record
from exhaust.settings import ConsumerSettings
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_REQUESTS
from tests.acceptance.conftest import FIRST
from tests.support.partner import Partner, resource_of

EXPECTED = {TOPIC_REQUESTS: 1, TOPIC_DAYS: 2, TOPIC_COMPLETIONS: 4}  # started, two days, completed
OWNER = "org.example.partner.wire"


async def collect(stack: Stack, topic: str, request_id: str) -> list[Record]:
    """The records of a request on a topic."""
    settings = ConsumerSettings.model_validate(kafka_fields(stack) | {"kafka_session_timeout": timedelta(seconds=6)})
    found: dict[str, Record] = {}  # by id: two workers may both tell that the last day is done
    stop = asyncio.Event()

    async def handle(record: Record) -> None:
        if request_id.encode() in record.value:
            found[record.header("ce_id")] = record
            if len(found) == EXPECTED[topic]:
                stop.set()

    async with asyncio.timeout(60), open_producer(settings) as producer:
        consumer_loop = ConsumerLoop(
            settings, group=f"test-{uuid4()}", topic=topic, handle=handle, producer=producer, concurrency=50
        )
        await consumer_loop.run(stop, lambda: None, timedelta(seconds=1))
    return list(found.values())


async def test_every_event_follows_its_schema(partner: Partner, stack: Stack) -> None:
    await partner.grant(OWNER)
    reply = await partner.submit(
        f"eks-consumption-metrics/{resource_of(OWNER)}/{FIRST}/{FIRST + timedelta(days=1)}", partner_id=OWNER
    )
    request_id = reply.result["requestid"]
    assert (await partner.finished(request_id))["status"] == "complete"
    statuses = []
    traces = set()
    for topic, count in EXPECTED.items():
        schema = json.loads(resources.files("schemas").joinpath(f"{topic}.schema.json").read_text())
        validator = jsonschema_rs.validator_for(schema, validate_formats=True)
        records = await collect(stack, topic, request_id)
        assert len(records) == count
        for record in records:
            value = json.loads(record.value)
            validator.validate(value)
            statuses.append(value.get("status"))
            traces.add(record.header("traceparent"))
            assert record.header("ce_specversion") == "1.0"
            assert record.header("ce_id").startswith(request_id)
            assert record.header("ce_type").startswith("telemetry-exhaust.")
            assert record.header("ce_source").startswith("/telemetry-exhaust/")
            assert record.header("content-type") == "application/json"
            assert datetime.fromisoformat(record.header("ce_time")).tzinfo is not None
            assert partner.license_key.encode() not in record.value
    assert [status for status in statuses if status] == ["inprogress"] * 3 + ["complete"]
    assert len(traces) == 1
