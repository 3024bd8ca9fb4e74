"""A look at the consumer groups and their topics: who reads, how far, what waits, and since when.

This is the one module that imports confluent-kafka: aiokafka's admin client cannot describe groups of Kafka 4.3, and
takes seconds for their offsets. Its calls block, so a look runs in a thread, with a deadline.

What Kafka does not have is told apart from what it does not tell:

- A group that nobody ever joined has no members. A partition that it never committed counts whole: a reader begins
  there with the first record. So a new topic has a lag of 0, and an old one that was never read all its records.
- A commit beyond the end comes from a topic that was deleted and created again: the new one counts whole.
- Records that retention removed before they were read are gone, and wait no more.
- A topic that does not exist, a partition without a leader, a refused question: the group is unseen, with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from exhaust.errors import Dependency, ErrorCode, ExhaustError, unavailable
from exhaust.lag.groups import GroupLag, KafkaLook, Member, PartitionLag, UnseenGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from confluent_kafka import Message

    from exhaust.settings import KafkaSettings

DEADLINE: Final = timedelta(seconds=2)
MARGIN: Final = timedelta(milliseconds=100)  # the driver's own time-outs come first: they have a reason
FIRST_RECORDS_WITHIN: Final = timedelta(seconds=1)  # of a look; without the time of a record the look still counts
SIGNS_OF: Final = timedelta(minutes=15)  # how far back a first look reads what workers told
_FETCH: Final = {
    "group.id": "telemetry-exhaust-lag",  # the driver wants a name; nothing is ever committed under it
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 50,
    "max.partition.fetch.bytes": 65_536,
    "queued.max.messages.kbytes": 4096,
}

Place = tuple[str, int]  # topic, partition


class _LatestError:
    """The latest error of a connection.

    It stands apart because clients hold their callbacks in a way that the collector does not see: a client whose
    callback held whoever holds the client would never end.
    """

    def __init__(self) -> None:
        self._error: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        """Note an error; a callback of the driver."""
        self._error = error

    def take(self) -> KafkaError | None:
        """Return the error, and forget it."""
        error, self._error = self._error, None
        return error


class KafkaLag:
    """Looks at groups and their topics."""

    def __init__(self, settings: KafkaSettings, topics: Mapping[str, str], beats: str) -> None:
        """Prepare; the first look connects.

        Args:
            settings: the cluster.
            topics: by consumer group, the topic that it reads.
            beats: the topic on which workers tell what they do; it may be missing.
        """
        self._topics = topics
        self._beats = beats
        self._errors = _LatestError()
        self._connection = connection_options(settings) | {"error_cb": self._errors.note}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-lag")
        self._looking: asyncio.Future[KafkaLook] | None = None
        self._admin: AdminClient | None = None
        self._consumer: Consumer | None = None
        self._groups: dict[str, Consumer] = {}
        self._next_beats: dict[Place, int] = {}
        self._first_records: dict[Place, tuple[int, datetime]] = {}

    async def look(self) -> KafkaLook:
        """Look once.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE, within DEADLINE: Kafka does not answer, or refuses us.
        """
        if self._looking is not None and not self._looking.done():
            raise unavailable(Dependency.KAFKA)  # the thread still waits for the answers of an earlier look
        deadline = time.monotonic() + (DEADLINE - MARGIN).total_seconds()
        looking = self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look, deadline)
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await asyncio.shield(looking)
        except (KafkaException, TimeoutError) as error:
            looking.add_done_callback(_forget_outcome)
            raise self._why_away() from error

    def close(self) -> None:
        """Close the connections, once the thread is free."""
        self._looking = None  # its error would hold the client by its traceback
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        for consumer in (self._consumer, *self._groups.values()):
            if consumer is not None:
                consumer.close()
        # A client ends its threads and connections when nobody holds it.
        self._admin = self._consumer = None
        self._groups.clear()

    def _why_away(self) -> ExhaustError:
        error = self._errors.take()
        if error is not None and error.name() == "_AUTHENTICATION":
            return ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "Kafka refuses the user or its password")
        return unavailable(Dependency.KAFKA)

    def _look(self, deadline: float) -> KafkaLook:
        admin = self._admin = self._admin or AdminClient(self._connection)
        try:
            return self._look_with(admin, deadline)
        except KafkaException:
            admin.poll(0)  # brings the errors of connections to self._errors
            raise

    def _look_with(self, admin: AdminClient, deadline: float) -> KafkaLook:
        partitions = _partitions(admin, {*self._topics.values(), self._beats}, deadline)
        members = admin.describe_consumer_groups(list(self._topics), request_timeout=_left(deadline))
        groups: dict[str, GroupLag | UnseenGroup] = {}
        for group, topic in self._topics.items():
            if not partitions[topic]:
                groups[group] = UnseenGroup(group, topic, f"topic {topic} does not exist; `exhaustctl topics` makes it")
                continue
            try:
                found = _members(members[group].result(_left(deadline)), topic)
                groups[group] = self._measure(admin, group, found, _all(partitions, topic), deadline)
            except KafkaException as error:
                groups[group] = UnseenGroup(group, topic, f"Kafka does not tell of group {group}: {_sentence(error)}")
        beats = _ends(admin, _all(partitions, self._beats), OffsetSpec.latest(), deadline)
        return self._read(groups, beats, self._new_beats(admin, beats, deadline), deadline)

    def _measure(
        self,
        admin: AdminClient,
        group: str,
        members: tuple[Member, ...],
        places: list[TopicPartition],
        deadline: float,
    ) -> GroupLag:
        """Measure a group's lag. The ends are asked for after the commits, so that no commit is beyond its end."""
        topic = self._topics[group]
        commits: dict[int, int] = {}
        for found in self._group(group).committed(places, _left(deadline)):
            if found.error is not None:
                raise KafkaException(found.error)
            commits[found.partition] = found.offset
        ends = _ends(admin, places, OffsetSpec.latest(), deadline)
        begun = [place for place in places if commits[place.partition] != ends[topic, place.partition]]
        starts = _ends(admin, begun, OffsetSpec.earliest(), deadline)
        partitions = tuple(
            _partition(number, offset if offset >= 0 else None, starts.get((topic, number)), ends[topic, number])
            for number, offset in sorted(commits.items())
        )
        return GroupLag(group, topic, members, partitions)

    def _group(self, group: str) -> Consumer:
        """Return a consumer that asks for a group's commits, and never joins.

        The admin client can ask too, and ends the process by a segmentation fault when the broker has just started or
        gives the group to another one (librdkafka 2.16: NOT_COORDINATOR in rd_kafka_handle_OffsetFetch).
        """
        if group not in self._groups:
            self._groups[group] = Consumer(self._connection | {"group.id": group, "enable.auto.commit": False})
        return self._groups[group]

    def _read(
        self,
        groups: dict[str, GroupLag | UnseenGroup],
        beats: Mapping[Place, int],
        new: Mapping[Place, int],
        deadline: float,
    ) -> KafkaLook:
        """Read the first record that waits in each partition, for its time, and the beats from `new` to their ends."""
        waiting = {
            (group.topic, partition.partition): partition.position
            for group in groups.values()
            if isinstance(group, GroupLag)
            for partition in group.partitions
            if partition.messages
        }
        self._first_records = {
            place: known for place, known in self._first_records.items() if waiting.get(place) == known[0]
        }
        missing = {place: offset for place, offset in waiting.items() if place not in self._first_records}
        told = self._fetch(missing, beats, new, min(deadline, time.monotonic() + FIRST_RECORDS_WITHIN.total_seconds()))
        seen = {
            name: _with_times(group, self._first_records) if isinstance(group, GroupLag) else group
            for name, group in groups.items()
        }
        return KafkaLook(seen, told)

    def _fetch(
        self, first: Mapping[Place, int], beats: Mapping[Place, int], new: Mapping[Place, int], deadline: float
    ) -> tuple[bytes, ...]:
        consumer = self._consumer = self._consumer or Consumer(self._connection | _FETCH)
        open_places = {*first, *new}
        if not open_places:
            return ()
        told: list[bytes] = []
        consumer.assign([TopicPartition(*place, offset) for place, offset in {**first, **new}.items()])
        while open_places and (left := deadline - time.monotonic()) > 0:
            for message in consumer.consume(num_messages=500, timeout=min(left, 0.05)):
                place = (message.topic() or "", message.partition() or 0)
                if message.error() is not None:
                    open_places.discard(place)  # its end, or it cannot be read
                elif place in new:
                    told.append(message.value() or b"")
                    self._next_beats[place] = following = (message.offset() or 0) + 1
                    if following >= beats[place]:
                        open_places.discard(place)
                elif place in open_places:
                    open_places.discard(place)
                    self._first_records[place] = (first[place], _written_at(message))
                    consumer.incremental_unassign([TopicPartition(*place)])
        consumer.unassign()
        return tuple(told)

    def _new_beats(self, admin: AdminClient, ends: Mapping[Place, int], deadline: float) -> dict[Place, int]:
        """Return from where to read the topic of beats, where something new is.

        The admin client asks: after a consumer has asked for offsets by time, its first fetch may come a second late.
        """
        unread = [TopicPartition(*place) for place in ends if place not in self._next_beats]
        since = OffsetSpec.for_timestamp(int((datetime.now(UTC) - SIGNS_OF).timestamp() * 1000))
        for place, offset in _ends(admin, unread, since, deadline).items():
            self._next_beats[place] = offset if offset >= 0 else ends[place]
        # Of a topic that was created again, the next beats are read.
        self._next_beats = {place: min(self._next_beats[place], end) for place, end in ends.items()}
        return {place: offset for place, offset in self._next_beats.items() if offset < ends[place]}


@asynccontextmanager
async def open_kafka_lag(settings: KafkaSettings, topics: Mapping[str, str], beats: str) -> AsyncIterator[KafkaLag]:
    """Look at Kafka within a block; see KafkaLag."""
    kafka = KafkaLag(settings, topics, beats)
    try:
        yield kafka
    finally:
        kafka.close()


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the driver's options for a cluster. TLS trusts the authorities of this system."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
        "reconnect.backoff.max.ms": 1000,  # a look must notice soon that Kafka is back
        "logger": logging.getLogger("confluent_kafka"),
        "log_level": 0,  # errors come back from the calls; the driver repeats them at each try to connect
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        trusted = ssl.get_default_verify_paths()
        if place := trusted.cafile or trusted.capath:
            options["ssl.ca.location"] = place
    if settings.kafka_sasl_password is not None:
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def _left(deadline: float) -> float:
    """Return the seconds until the deadline; the driver takes no 0 for a time-out."""
    return max(deadline - time.monotonic(), 0.01)


def _partitions(admin: AdminClient, topics: Collection[str], deadline: float) -> dict[str, list[int]]:
    """Return the partitions of topics; none of one that does not exist."""
    known = admin.list_topics(timeout=_left(deadline)).topics
    return {topic: sorted(known[topic].partitions) if topic in known else [] for topic in topics}


def _all(partitions: Mapping[str, Iterable[int]], topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in partitions[topic]]


def _members(described: Any, topic: str) -> tuple[Member, ...]:  # noqa: ANN401 -- the driver exports no such type
    return tuple(
        Member(
            member.client_id,
            member.host.removeprefix("/"),
            tuple(sorted(place.partition for place in member.assignment.topic_partitions if place.topic == topic)),
            member.member_id,
        )
        for member in described.members
    )


def _ends(admin: AdminClient, places: Sequence[TopicPartition], end: OffsetSpec, deadline: float) -> dict[Place, int]:
    """Return the offset at one end of each partition."""
    if not places:
        return {}
    asked = admin.list_offsets(dict.fromkeys(places, end), request_timeout=_left(deadline))
    return {(place.topic, place.partition): found.result(_left(deadline)).offset for place, found in asked.items()}


def _partition(number: int, committed: int | None, start: int | None, end: int) -> PartitionLag:
    """Return what waits in a partition; `start` is None where it was not asked for, since all is committed."""
    if start is None or (committed is not None and start <= committed <= end):
        return PartitionLag(number, committed, end if committed is None else committed, end)
    return PartitionLag(number, committed, min(start, end), end)


def _with_times(group: GroupLag, first: Mapping[Place, tuple[int, datetime]]) -> GroupLag:
    partitions = tuple(
        PartitionLag(known.partition, known.committed, known.position, known.end, first[place][1])
        if (place := (group.topic, known.partition)) in first
        else known
        for known in group.partitions
    )
    return GroupLag(group.group, group.topic, group.members, partitions)


def _written_at(message: Message) -> datetime:
    """Return the time of a record; of one without, the present."""
    _, milliseconds = message.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else datetime.now(UTC)


def _sentence(error: KafkaException) -> str:
    told = error.args[0] if error.args else None
    return f"{told.name()} {told.str()}".strip() if isinstance(told, KafkaError) else str(error)


def _forget_outcome(looking: asyncio.Future[KafkaLook]) -> None:
    """Take the outcome of a look that nobody waits for any more."""
    with suppress(asyncio.CancelledError):
        looking.exception()
