"""Dead letters on the real topic, as a consumer sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from exhaust.kafka.dead_letter_reader import letter_of
from exhaust.kafka.dead_letters import DeadLetters, cut
from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode, dead_letter_headers
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from exhaust.domain.dead_letters import Letter, LetterPlace
    from exhaust.kafka.producer import Producer
    from exhaust.kafka.topic_reader import TopicReader
    from exhaust.settings import KafkaSettings

GROUP = "test-group"
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Letters:
    """Sends dead letters, and finds them and what came of them.

    Attributes:
        source: of all of them, which no other test knows.
        since: by topic and partition, where it ended before.
    """

    settings: KafkaSettings
    producer: Producer
    reader: TopicReader
    source: str
    since: dict[tuple[str, int], int]

    @classmethod
    async def begin(cls, settings: KafkaSettings, producer: Producer, reader: TopicReader) -> Letters:
        since: dict[tuple[str, int], int] = {}
        for topic in (TOPIC_DEAD_LETTERS, TOPIC_COMPLETIONS):
            since |= {(topic, partition): end for partition, (_, end) in (await reader.bounds(topic)).items()}
        return cls(settings, producer, reader, f"/test/{uuid4().hex[:8]}", since)

    def record(self, number: int, *, topic: str = TOPIC_COMPLETIONS, headers: Headers = ()) -> Record:
        own = (("ce_source", self.source.encode()), ("odd", b"\xff\x00"), ("odd", b"2"), *headers)
        value = b'{"requestid": "%s", "n": %d}' % (str(uuid4()).encode(), number)
        return Record(topic, 0, number, b"key-%d" % number, value, own)

    async def bury(self, *records: Record, code: RejectionCode = RejectionCode.UNKNOWN_REQUEST) -> None:
        for record in records:
            dead_letters = DeadLetters(self.producer, group=GROUP, topic=record.topic)
            await dead_letters.send(record, RejectedRecordError(code, "nobody knows it", "/requestid"))

    async def bury_cut(self, record: Record) -> None:
        error = RejectedRecordError(RejectionCode.SCHEMA, "too large")
        letter = cut(record, dead_letter_headers(record, GROUP, error)[len(record.headers) :])
        headers = [(name, b"value" if name == "dl_truncated" else text) for name, text in letter.headers]
        await self.producer.send_raw(TOPIC_DEAD_LETTERS, letter.key, letter.value, headers)

    async def on(self, topic: str) -> list[Record]:
        """The records with our source that came to a topic since the beginning."""
        found = []
        for partition, (_, end) in (await self.reader.bounds(topic)).items():
            start = self.since[topic, partition]
            async for records in self.reader.read(topic, partition, start=start, end=end):
                found += [record for record in records if record.header("ce_source") == self.source]
        return found

    async def buried(self) -> list[Letter]:
        return [letter_of(record) for record in await self.on(TOPIC_DEAD_LETTERS)]

    async def places(self) -> list[LetterPlace]:
        return [letter.place for letter in await self.buried()]
