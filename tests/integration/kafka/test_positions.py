"""A group is read from where it stands, whatever Kafka says or keeps to itself, and never stands lower than it did."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import IllegalGenerationError, RequestTimedOutError, UnknownMemberIdError
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from exhaust.kafka.connection import connection_options
from exhaust.kafka.group_consumer import GroupConsumer
from tests.integration.kafka.conftest import Handled, Scene, new_scene
from tests.support.kafka_proxy import OFFSET_FETCH, kafka_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka.errors import KafkaError

    from exhaust.kafka.group_consumer import Membership

NO_PARTITIONS = 0


def through(scene: Scene, address: str) -> Scene:
    return replace(scene, settings=scene.settings.model_copy(update={"kafka_bootstrap": address}))


@pytest.mark.parametrize("code", [14, 15, 16])  # the coordinator is loading, away, or another
async def test_a_group_waits_until_kafka_says_where_it_stands(scene: Scene, code: int) -> None:
    before, handled = Handled(), Handled()
    await scene.send("0", "1", "2")
    async with scene.member(before.note):
        await before.until_all(["0", "1", "2"])
    unclear = 3
    asked = 0

    def change(key: int, version: int, answer: bytes) -> bytes:
        nonlocal asked
        if key != OFFSET_FETCH:
            return answer
        assert version == OffsetFetchResponse_v3.API_VERSION
        asked += 1
        return answer if asked > unclear else struct.pack(">iih", 0, NO_PARTITIONS, code)

    async with (
        kafka_proxy(scene.settings.kafka_bootstrap, change) as address,
        through(scene, address).member(handled.note),
    ):
        await scene.send("3")
        await handled.until(bool)
    assert handled.values == ["3"]
    assert asked > unclear


async def test_a_process_never_reads_below_what_it_committed(scene: Scene) -> None:
    handled, joined = Handled(), Handled()
    neighbour = replace(await new_scene(scene.settings, scene.producer, partitions=1), group=scene.group)
    forgetting = False

    def change(key: int, _version: int, answer: bytes) -> bytes:
        if key != OFFSET_FETCH or not forgetting:
            return answer
        told = OffsetFetchResponse_v3.decode(io.BytesIO(answer))
        topics = [
            (topic, [(partition, min(offset, 1), text, code) for partition, offset, text, code in known])
            for topic, known in told.topics
        ]
        return bytes(OffsetFetchResponse_v3(told.throttle_time_ms, topics, told.error_code).encode())

    await scene.send("0", "1", "2")
    await neighbour.send("joined")
    with structlog.testing.capture_logs() as logs:
        async with (
            kafka_proxy(scene.settings.kafka_bootstrap, change) as address,
            through(scene, address).member(handled.note),
        ):
            await handled.until_all(["0", "1", "2"])
            await scene.until_committed(3)
            forgetting = True
            async with neighbour.member(joined.note):  # everything is revoked, and assigned again
                await joined.until_all(["joined"])
            await scene.send("3")
            await handled.until_all(["3"])
    assert handled.values == ["0", "1", "2", "3"]
    told = [(entry["kafka"], entry["used"]) for entry in logs if entry["event"] == "kafka.offsets_rewound"]
    assert told[0] == (1, 3)
    assert await scene.committed() == 4


async def test_kafka_refuses_a_commit_of_an_earlier_assignment(scene: Scene) -> None:
    partition = TopicPartition(scene.topic, 0)
    await scene.send("0", "1", "2", "3")
    made: list[tuple[GroupConsumer, Membership]] = []

    class Noting(GroupConsumer):
        async def commit_offsets(
            self, membership: Membership, offsets: Mapping[TopicPartition, int]
        ) -> dict[TopicPartition, KafkaError | None]:
            made.append((self, membership))
            return await super().commit_offsets(membership, offsets)

    handled = Handled()
    async with scene.member(handled.note, consumer_type=Noting):
        await handled.until_all(["0", "1", "2", "3"])
        await scene.until_committed(4)
        consumer, membership = made[0]
        late = await consumer.commit_offsets(membership._replace(generation=membership.generation - 1), {partition: 2})
        assert isinstance(late[partition], IllegalGenerationError)
        strange = await consumer.commit_offsets(membership._replace(member_id="nobody"), {partition: 2})
        assert isinstance(strange[partition], UnknownMemberIdError)
        assert await scene.committed() == 4


async def test_a_commit_that_arrives_late_is_made_good(scene: Scene) -> None:
    late: list[tuple[Membership, Mapping[TopicPartition, int]]] = []

    class Network(GroupConsumer):
        """Holds a commit up until a later one has arrived."""

        async def commit_offsets(
            self, membership: Membership, offsets: Mapping[TopicPartition, int]
        ) -> dict[TopicPartition, KafkaError | None]:
            if not late:
                late.append((membership, dict(offsets)))
                raise RequestTimedOutError
            outcomes = await super().commit_offsets(membership, offsets)
            if len(late) == 1:
                late.append(late[0])
                await super().commit_offsets(*late[0])
            return outcomes

    handled = Handled()
    with structlog.testing.capture_logs() as logs:
        async with scene.member(handled.note, concurrency=1, consumer_type=Network):
            await scene.send("0")
            await handled.until_all(["0"])
            await scene.send("1")
            await handled.until_all(["1"])
            await scene.until_committed(1)
            await scene.until_committed(2)
    told = [(entry["kafka"], entry["used"]) for entry in logs if entry["event"] == "kafka.offsets_rewound"]
    assert told == [(1, 2)]


async def test_reading_goes_on_behind_records_that_went_unread(scene: Scene) -> None:
    before, handled = Handled(), Handled()
    await scene.send("0", "1")
    async with scene.member(before.note):
        await before.until_all(["0", "1"])
    await scene.send("2", "3", "4")
    async with scene.admin() as admin:
        await admin.delete_records({TopicPartition(scene.topic, 0): RecordsToDelete(before_offset=4)})
    with structlog.testing.capture_logs() as logs:
        async with scene.member(handled.note):
            await handled.until_all(["4"])
    assert handled.values == ["4"]
    [told] = [entry for entry in logs if entry["event"] == "kafka.offsets_expired"]
    assert (told["position"], told["used"]) == (2, 4)


async def test_a_log_that_ends_before_the_position_is_read_from_its_beginning(scene: Scene) -> None:
    # Kafka restored from a copy, or a leader that had less than was read: no client can cut a log.
    handled = Handled()
    await scene.send("0", "1", "2")
    operator = AIOKafkaConsumer(**connection_options(scene.settings), group_id=scene.group, enable_auto_commit=False)
    partition = TopicPartition(scene.topic, 0)
    operator.assign([partition])
    await operator.start()
    await operator.commit({partition: 10})
    await operator.stop()
    with structlog.testing.capture_logs() as logs:
        async with scene.member(handled.note):
            await handled.until_all(["0", "1", "2"])
    assert handled.values == ["0", "1", "2"]
    [told] = [entry for entry in logs if entry["event"] == "kafka.offsets_truncated"]
    assert (told["position"], told["end"], told["used"]) == (10, 3, 0)
    assert await scene.committed() == 3
