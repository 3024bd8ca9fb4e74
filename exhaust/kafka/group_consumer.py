"""The driver's consumer, with requests whose answers are checked in full.

The driver asks Kafka where a group stands, and ignores the error of the whole answer (OffsetFetch, versions 2 and 3):
an answer without partitions reads as "nothing was ever committed". It commits as the member that it is when the
request goes out, not as the one that read the records; so a late commit can take back another member's. This consumer
asks both itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest

from exhaust.kafka.connection import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aiokafka import ConsumerRecord
    from aiokafka.protocol.api import Request, Response

NOTHING_COMMITTED: Final = -1
READ_COMMITTED: Final = 1
RAW_BYTES: Final = 1024 * 1024  # a larger batch comes whole all the same
RAW_WAIT_MS: Final = 500
REPLICA_AFTER_ABORTED: Final = 11  # the version of Fetch whose answers name a replica before the batches

Told = TypeVar("Told")


class Membership(NamedTuple):
    """One assignment of partitions to one member. Kafka refuses commits under any but the latest."""

    generation: int
    member_id: str


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll returned, and where the driver stood at that very moment."""

    membership: Membership
    records: Mapping[TopicPartition, list[ConsumerRecord]]
    positions: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class RawBatches:
    """Batches as they lie in the log, and the producers whose transactions in it were aborted.

    Attributes:
        data: whole batches, and maybe the beginning of one more.
        aborted: for each aborted transaction its producer's id and its first offset.
    """

    data: bytes
    aborted: tuple[tuple[int, int], ...]


class GroupConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # the driver is untyped
    """A member of a group."""

    def membership(self) -> Membership:
        """Return as which member of which generation this consumer holds its partitions."""
        return Membership(self._coordinator.generation, self._coordinator.member_id)

    async def poll(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Poll:
        """Poll, and note where the driver stands before anything else can happen.

        Raises:
            Exception: whatever the driver meets in a record, or in its own tasks.
        """
        fetcher = self._fetcher.error_future
        if fetcher.done() and not fetcher.cancelled():
            fetcher.result()  # the driver would wait for ever
        records = await self.getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        return Poll(self.membership(), records, self.positions())

    def positions(self) -> dict[TopicPartition, int]:
        """Return the offset that the driver reads next in each partition."""
        assignment = self._subscription.subscription.assignment
        states = {} if assignment is None else {held: assignment.state_value(held) for held in assignment.tps}
        return {held: state.position for held, state in states.items() if state.has_valid_position}

    async def committed_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Ask where the group stands.

        Returns:
            For each partition that Kafka told of without an error the committed offset, or None if it says that
            nothing was committed. Partitions of which it said nothing are not there.

        Raises:
            KafkaError: Kafka cannot say at the moment.
        """
        wanted = _by_topic((held.topic, held.partition) for held in partitions)
        response = await self._ask_coordinator(OffsetFetchRequest(self._group_id, wanted))
        try:
            return read_committed_offsets(response)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            self._coordinator.coordinator_dead()
            raise

    async def commit_offsets(
        self, membership: Membership, offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Commit as a member; return for each partition why Kafka refused it, or None.

        Raises:
            KafkaError: the outcome is unknown.
        """
        topics = _by_topic((held.topic, (held.partition, offset, "")) for held, offset in offsets.items())
        retention = OffsetCommitRequest.DEFAULT_RETENTION_TIME
        response = await self._ask_coordinator(OffsetCommitRequest(self._group_id, *membership, retention, topics))
        outcomes: dict[TopicPartition, KafkaError | None] = {}
        for topic, partitions in response.topics:
            for partition, code in partitions:
                outcomes[TopicPartition(topic, partition)] = _error_of(code)
        moved = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
        if any(isinstance(error, moved) for error in outcomes.values()):
            self._coordinator.coordinator_dead()
        return outcomes

    async def fetch_raw(self, partition: TopicPartition, offset: int) -> RawBatches:
        """Fetch the batches of a partition from an offset on, without looking into them.

        Raises:
            KafkaError: Kafka does not answer, or refuses.
        """
        wanted = [(partition.topic, [(partition.partition, offset, RAW_BYTES)])]
        leader = self._client.cluster.leader_for_partition(partition)
        if leader is None or leader < 0:
            raise GroupLoadInProgressError
        request = FetchRequest(RAW_WAIT_MS, 1, RAW_BYTES, READ_COMMITTED, wanted)
        response = await self._client.send(leader, request)
        error = _error_of(getattr(response, "error_code", NoError.errno))
        if error is not None:
            raise error
        [(_, [(_, code, _, *rest)])] = response.topics
        error = _error_of(code)
        if error is not None:
            raise error
        data, aborted = rest[-1], rest[2] if response.API_VERSION >= REPLICA_AFTER_ABORTED else rest[-2]
        return RawBatches(bytes(data or b""), tuple((producer, first) for producer, first in aborted or ()))

    async def partitions_of(self, topic: str) -> set[int]:
        """Return the partitions of a topic, as Kafka tells them now.

        Raises:
            KafkaError: it does not answer.
        """
        cluster = await self._client.fetch_all_metadata()
        return set(cluster.partitions_for_topic(topic) or ())

    async def ping(self) -> None:
        """Ask the cluster for anything.

        Raises:
            KafkaError: it does not answer.
        """
        await self._client.fetch_all_metadata()

    async def _ask_coordinator(self, request: Request) -> Response:
        await self._coordinator.ensure_coordinator_known()
        node = self._coordinator.coordinator_id
        if node is None:
            raise GroupCoordinatorNotAvailableError
        try:
            return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
        except DRIVER_ERRORS:
            self._coordinator.coordinator_dead()
            raise


def read_committed_offsets(response: Response) -> dict[TopicPartition, int | None]:
    """Return the offsets in an answer to OffsetFetch, None where nothing was committed.

    Raises:
        KafkaError: the answer as a whole is an error, or one that a partition has concerns the whole group.
    """
    error = _error_of(getattr(response, "error_code", NoError.errno))
    if error is not None:
        raise error
    offsets: dict[TopicPartition, int | None] = {}
    for topic, partitions in response.topics:
        for partition, offset, _metadata, code in partitions:
            error = _error_of(code)
            if isinstance(error, GroupCoordinatorNotAvailableError | NotCoordinatorForGroupError):
                raise error
            if error is None:
                offsets[TopicPartition(topic, partition)] = None if offset == NOTHING_COMMITTED else offset
    return offsets


def _error_of(code: int) -> KafkaError | None:
    error = for_code(code)
    return None if error is NoError else error()


def _by_topic(pairs: Iterable[tuple[str, Told]]) -> list[tuple[str, list[Told]]]:
    topics: defaultdict[str, list[Told]] = defaultdict(list)
    for topic, told in pairs:
        topics[topic].append(told)
    return list(topics.items())
