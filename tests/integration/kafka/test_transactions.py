"""Transactions of other producers: what was aborted does not count, and their marks are no lag."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from exhaust.kafka.connection import connection_options
from tests.integration.kafka.conftest import Handled, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence


async def transact(scene: Scene, *, committed: Sequence[str] = (), aborted: Sequence[str] = ()) -> None:
    async with AIOKafkaProducer(
        **connection_options(scene.settings), transactional_id=f"transactions-{uuid4().hex[:8]}"
    ) as producer:
        for values, end in ((aborted, producer.abort_transaction), (committed, producer.commit_transaction)):
            if values:
                await producer.begin_transaction()
                for value in values:
                    await producer.send_and_wait(scene.topic, value.encode())
                await end()


async def test_an_aborted_record_does_not_count(scene: Scene) -> None:
    handled = Handled()
    await transact(scene, aborted=["aborted 1", "aborted 2"], committed=["committed"])
    await scene.send("last")
    async with scene.member(handled.note):
        await handled.until_all(["last"])
        await scene.until_committed(6)  # three in transactions, two marks, and the last
    assert handled.values == ["committed", "last"]


async def test_marks_at_the_end_of_a_partition_are_no_lag(scene: Scene) -> None:
    handled = Handled()
    async with scene.member(handled.note):
        await transact(scene, committed=["committed"])
        await handled.until_all(["committed"])
        await scene.until_committed(2)
        await transact(scene, aborted=["aborted"])
        await scene.until_committed(4)
    assert handled.values == ["committed"]


async def test_a_partition_with_nothing_but_aborted_records_is_no_lag(scene: Scene) -> None:
    await transact(scene, aborted=["aborted"])
    async with scene.member(Handled().note):
        await scene.until_committed(2)
