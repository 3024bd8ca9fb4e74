"""What the publishers' package builds counts, and counts once however often it is sent."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING

from exhaust_contract import completed, failed, progressed
from exhaust_contract.builders import Day

from exhaust.domain.object_keys import attempt_prefix
from exhaust.domain.state_machine import State
from exhaust.kafka.records import Record
from services.status.completions import claim_in
from tests.integration.states.conftest import DAYS, DOWNLOAD, EXECUTOR, SPARK_DATASET, Downloads, inbox, view_of

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust_contract import Event

    from exhaust.postgres.database import Database
    from services.status.request_reader import RequestReader
    from services.status.request_states import RequestStates
    from tests.integration.conftest import RequestFactory


async def request_of_spark(request_factory: RequestFactory, owner_database: Database) -> UUID:
    """A request whose dataset another job builds."""
    request_id = await request_factory.request(days=DAYS, waiting=False)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET dataset_id = $2 WHERE request_id = $1", request_id, SPARK_DATASET)
    return request_id


async def send(states: RequestStates, event: Event) -> None:
    await states.apply(claim_in(Record(event.topic, 0, 0, event.key, event.value, event.headers)))


async def test_a_request_is_reported_from_start_to_end_and_repeating_changes_nothing(
    states: RequestStates,
    reader: RequestReader,
    request_factory: RequestFactory,
    database: Database,
    owner_database: Database,
    downloads: Downloads,
) -> None:
    request_id = await request_of_spark(request_factory, owner_database)
    key = f"{attempt_prefix(request_id, 1)}days.zip"
    await downloads.objects.put(downloads.bucket, key, DOWNLOAD)

    def reports() -> list[Event]:
        return [
            progressed(request_id, 1, source=EXECUTOR, daystotal=DAYS),
            progressed(request_id, 1, source=EXECUTOR, daystotal=DAYS, day=Day(date(2026, 1, 1), events=3, bytes=300)),
            completed(
                request_id,
                1,
                source=EXECUTOR,
                key=key,
                size=len(DOWNLOAD),
                sha256=hashlib.sha256(DOWNLOAD).hexdigest(),
                events=3,
                bytes=300,
            ),
        ]

    for sent_again in range(2):
        for event, state in zip(reports(), (State.INPROGRESS, State.INPROGRESS, State.COMPLETE), strict=True):
            await send(states, event)
            expected = State.COMPLETE if sent_again else state
            assert (await view_of(reader, request_id)).state is expected
        assert len(await inbox(database)) == 3


async def test_a_failed_attempt_is_reported(
    states: RequestStates, reader: RequestReader, request_factory: RequestFactory, owner_database: Database
) -> None:
    request_id = await request_of_spark(request_factory, owner_database)
    await send(states, failed(request_id, 1, source=EXECUTOR, code="OUT_OF_MEMORY", message="the driver was killed"))
    assert (await view_of(reader, request_id)).state is State.FAILED
