"""Reading the dead-letter topic, without a group: nobody's position changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from exhaust.errors import Dependency, unavailable
from exhaust.kafka.closing import stop_client
from exhaust.kafka.connection import DRIVER_ERRORS, connection_options
from exhaust.kafka.producer import CLOSE_TIMEOUT, MAX_RECORD_BYTES
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiokafka import ConsumerRecord

    from exhaust.settings import KafkaSettings

SILENCE: Final = timedelta(seconds=15)  # of a broker that should send more
_AT_ONCE: Final = 500
_POLL_MS: Final = 500


@dataclass(frozen=True, slots=True)
class FoundDeadLetter:
    """A dead letter as it lies on its topic.

    Attributes:
        at: when it was sent.
        value: the bytes of the record, or their beginning.
        headers: those of the record and those of the dead letter; of several with a name, the last.
    """

    at: datetime
    value: bytes
    headers: dict[str, str]


async def find_dead_letters(
    settings: KafkaSettings, *, since: datetime, wanted: Mapping[str, str], limit: int
) -> Sequence[FoundDeadLetter]:
    """Return the latest dead letters, the oldest first.

    Args:
        settings: the cluster.
        since: older ones are left out.
        wanted: by the name of a header, the value that it has.
        limit: at most so many.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE when Kafka is away.
    """
    consumer = AIOKafkaConsumer(
        TOPIC_DEAD_LETTERS,
        enable_auto_commit=False,
        max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        **connection_options(settings),
    )
    found: list[FoundDeadLetter] = []
    try:
        async with asyncio.timeout(SILENCE.total_seconds()) as silence:
            await consumer.start()
            ends = await _go_to(consumer, since)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
                if batches:
                    silence.reschedule(asyncio.get_running_loop().time() + SILENCE.total_seconds())
                letters = [_read(record) for batch in batches.values() for record in batch]
                found.extend(letter for letter in letters if _is_wanted(letter, wanted))
                found = _latest(found, limit)
    except DRIVER_ERRORS as error:
        raise unavailable(Dependency.KAFKA) from error
    finally:
        await stop_client(consumer, CLOSE_TIMEOUT)
    return found


async def _go_to(consumer: AIOKafkaConsumer, since: datetime) -> dict[TopicPartition, int]:
    """Go to the first record of that time in each partition, and return the present ends."""
    places = consumer.assignment()
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    begun = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
    for place in places:
        consumer.seek(place, begun[place].offset if begun[place] else ends[place])
    return ends


def _read(record: ConsumerRecord) -> FoundDeadLetter:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return FoundDeadLetter(datetime.fromtimestamp(record.timestamp / 1000, UTC), record.value or b"", headers)


def _latest(letters: list[FoundDeadLetter], limit: int) -> list[FoundDeadLetter]:
    return sorted(letters, key=lambda letter: letter.at)[-limit:]


def _is_wanted(letter: FoundDeadLetter, wanted: Mapping[str, str]) -> bool:
    return all(letter.headers.get(name) == value for name, value in wanted.items())
