"""The metrics of consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.metrics.catalogue import CONSUMER_HELD, PARTITIONS, RECORDS_WAITING

if TYPE_CHECKING:
    from exhaust.kafka.consumer import ConsumerLoop
    from exhaust.metrics.registry import MetricRegistry


def publish_consumer_metrics(registry: MetricRegistry, *loops: ConsumerLoop) -> None:
    """Export the metrics of consumers.

    They are the partitions that they read at the moment, the records that wait, their dead letters by code, their
    offset resets, and when they last committed.
    """
    for loop in loops:
        each = [(loop.topic,)]
        registry.gauge(CONSUMER_HELD, each).labels(loop.topic).set_function(loop.held)
        registry.gauge(RECORDS_WAITING, each).labels(loop.topic).set_function(loop.waiting_count)
        registry.gauge(PARTITIONS, each).labels(loop.topic).set_function(loop.partition_count)
        loop.count(registry)
