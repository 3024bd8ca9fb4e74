"""The metrics of consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from exhaust.kafka.consumer import ConsumerLoop


def publish_consumer_metrics(registry: CollectorRegistry, *loops: ConsumerLoop) -> None:
    """Add the metrics of consumers.

    They are the partitions that they read at the moment, the records that wait, their dead letters by code, and their
    offset resets.
    """
    partitions = Gauge("exhaust_partitions", "Partitions that this process reads.", ["topic"], registry=registry)
    dead_letters = Counter(
        "exhaust_dead_letters", "Records that became dead letters, by reason.", ["topic", "code"], registry=registry
    )
    resets = Counter(
        "exhaust_offset_resets",
        "Partitions that were read from another offset than expected, by reason.",
        ["topic", "reason"],
        registry=registry,
    )
    waiting = Gauge(
        "exhaust_records_waiting", "Records that wait for a server or for their next try.", ["topic"], registry=registry
    )
    held = Gauge("exhaust_consumer_held", "1 while too many dead letters hold it.", ["topic"], registry=registry)
    holds = Counter("exhaust_consumer_holds", "Times that too many dead letters held it.", ["topic"], registry=registry)
    for loop in loops:
        held.labels(loop.topic).set_function(loop.held)
        waiting.labels(loop.topic).set_function(loop.waiting_count)
        partitions.labels(loop.topic).set_function(loop.partition_count)
        loop.count(dead_letters=dead_letters, offset_resets=resets, holds=holds)
