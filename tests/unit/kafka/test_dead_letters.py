"""The metric of dead letters."""

import asyncio
from datetime import timedelta
from typing import Any, cast

from exhaust.kafka.consumer import ConsumerLoop
from exhaust.kafka.consumer_metrics import publish_consumer_metrics
from exhaust.kafka.records import Record, RejectionCode
from exhaust.metrics.registry import MetricRegistry
from exhaust.settings import ConsumerSettings

NOBODY: Any = None


async def ignore(_record: Record) -> None:
    await asyncio.sleep(0)


def test_every_code_is_counted_from_the_start() -> None:
    settings = ConsumerSettings(kafka_bootstrap="nowhere:1", kafka_session_timeout=timedelta(seconds=6))
    loop = ConsumerLoop(settings, group="g", topic="t", handle=ignore, producer=cast("Any", NOBODY), concurrency=1)
    registry = MetricRegistry()
    publish_consumer_metrics(registry, loop)
    text = registry.text().decode()
    for code in RejectionCode:
        assert f'exhaust_dead_letters_total{{code="{code}",topic="t"}} 0.0' in text
