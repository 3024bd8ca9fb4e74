"""Records that nobody can decode: kept on the dead-letter topic with their bytes, and passed."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from deploy.local.kafka_settings import kafka_fields
from deploy.local.stack import Stack
from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.producer import open_producer
from exhaust.kafka.records import Record
from exhaust.settings import ConsumerSettings
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_DEAD_LETTERS, TOPIC_REQUESTS
from tests.acceptance.conftest import FIRST
from tests.support.partner import Partner, resource_of

OWNER = "org.example.partner.strange"


@pytest.mark.parametrize("topic", [TOPIC_REQUESTS, TOPIC_DAYS, TOPIC_COMPLETIONS])
async def test_an_undecodable_record_becomes_a_dead_letter_and_stops_nothing(
    topic: str, partner: Partner, stack: Stack
) -> None:
    await partner.grant(OWNER)
    settings = ConsumerSettings.model_validate(kafka_fields(stack) | {"kafka_session_timeout": timedelta(seconds=6)})
    value = b"\xff not json " + uuid4().bytes
    letters: list[Record] = []
    stop = asyncio.Event()

    async def handle(record: Record) -> None:
        if record.value == value:
            letters.append(record)
            stop.set()

    async with open_producer(settings) as producer:
        # To every partition, so that whatever a request needs comes behind one of them.
        for number in range(40):
            await producer.send_raw(topic, str(number).encode(), value, [("odd", b"\x00\xff")])
        async with asyncio.timeout(60):
            await ConsumerLoop(
                settings,
                group=f"test-{uuid4()}",
                topic=TOPIC_DEAD_LETTERS,
                handle=handle,
                producer=producer,
                concurrency=50,
            ).run(stop, lambda: None, timedelta(seconds=1))
    headers = dict(letters[0].headers)
    assert headers["odd"] == b"\x00\xff"
    assert headers["dl_topic"] == topic.encode()
    assert (headers["dl_code"], headers["dl_pointer"]) == (b"NOT_JSON", b"")
    assert headers["dl_error"].startswith(b"RejectedRecordError")
    reply = await partner.submit(f"eks-consumption-metrics/{resource_of(OWNER)}/{FIRST}/{FIRST}", partner_id=OWNER)
    assert (await partner.finished(reply.result["requestid"]))["status"] == "complete"
