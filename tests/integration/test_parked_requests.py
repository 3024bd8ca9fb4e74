"""Rows that no request of ours would write, at every stored field: they are set aside, and all others go on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from exhaust.domain.catalogue import load_catalogue
from exhaust.domain.state_machine import State
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.parked_requests import list_parked_requests, release_parked_request
from exhaust.postgres.request_views import FIRST_PAGE, find_page, find_requests
from services.gateway.relay import RequestPublisher, release_batch
from services.status.archive_check import ArchiveCheck
from services.status.request_states import RequestStates
from tests.support.outbox import CLAIM_FOR

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.kafka.producer import Producer
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from tests.integration.conftest import RequestFactory

AT_ONCE: Final = timedelta(0)
HONEST: Final = "org.example.honest"
# SQL for extreme values of each stored field.
EXTREMES: Final = {
    "from_date": ("'-infinity'", "'infinity'", "'0001-01-01 BC'", "'5874897-12-31'", "'0001-01-01'", "'9999-12-31'"),
    "to_date": ("'-infinity'", "'infinity'", "'0001-01-01 BC'", "'5874897-12-31'", "'0001-01-01'"),
    "tags": ("'{NULL}'", "ARRAY['']", "array_fill('x'::text, ARRAY[10000])"),
    "attempt": ("0", "-2147483648", "2147483647", "1001"),
    "dataset_id": ("''", "repeat('x', 1000)", "'../..'"),
    "resource": ("''", "repeat('x', 1000)", "'../..'"),
    "partner_id": ("repeat('é', 1000)",),
    "username": ("''", "repeat('x', 1000000)"),
    "created_at": ("'-infinity'", "'infinity'"),
    "ended_at": ("'-infinity'", "'infinity'"),
    "outcome": ("'[]'", "'5'", """'{"key": 5}'"""),
    "days_total": ("-1", "NULL"),
    "synchronous": ("true",),
}


async def poison(owner: Database, request_id: UUID, field: str, value: str, *, waits: bool) -> None:
    """Write a value into the row of a request, as only the owner of the database can."""
    change = "UPDATE {} SET {} = {} WHERE request_id = $1"
    async with owner.transaction() as connection:
        await connection.execute(change.format("requests", field, value), request_id)
        await connection.execute(change.format("requests", "moved_at", "'2020-01-01Z'"), request_id)
        if waits and field == "attempt":
            await connection.execute(change.format("outbox", field, value), request_id)
        if not waits:
            await connection.execute("DELETE FROM outbox WHERE request_id = $1", request_id)


async def poisoned_requests(
    owner: Database, requests: RequestFactory, field: str, *, waits: bool, partner: str | None = None
) -> list[UUID]:
    made = []
    for number, value in enumerate(EXTREMES[field]):
        request_id = await requests.request(partner=partner or f"p{number}")
        await poison(owner, request_id, field, value, waits=waits)
        made.append(request_id)
    return made


@pytest.mark.parametrize("field", EXTREMES)
async def test_a_waiting_row_with_an_extreme_value_stops_no_release(
    database: Database, owner_database: Database, producer: Producer, request_factory: RequestFactory, field: str
) -> None:
    poisoned = await poisoned_requests(owner_database, request_factory, field, waits=True)
    honest = await request_factory.request(partner=HONEST)
    publish = RequestPublisher(producer).publish
    batch = await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
    parked = {request_id for request_id, _ in batch.parked}
    assert (batch.failures, honest in parked) == ([], False)
    assert batch.released + len(parked) == len([*poisoned, honest])
    again = await release_batch(database, publish, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
    assert (again.released, again.parked) == (0, [])
    assert {request.request_id for request in await list_parked_requests(owner_database, limit=100)} == parked
    for request_id in parked:
        async with owner_database.transaction() as connection:
            assert await release_parked_request(connection, request_id)
            assert not await release_parked_request(connection, request_id)


@pytest.mark.parametrize("field", EXTREMES)
async def test_a_stuck_row_with_an_extreme_value_stops_no_reaper(
    database: Database,
    owner_database: Database,
    request_factory: RequestFactory,
    objects: ObjectStore,
    field: str,
) -> None:
    await poisoned_requests(owner_database, request_factory, field, waits=False)
    honest = await request_factory.request(partner=HONEST)
    await poison(owner_database, honest, "days_total", "1", waits=False)
    await RequestStates(database, load_catalogue(None), ArchiveCheck(objects, "nowhere")).reap(
        no_progress_after=AT_ONCE, max_attempts=3
    )
    found = await find_requests(database, [honest])
    assert (found[honest].state, found[honest].attempt) == (State.SUBMITTED, 2)


@pytest.mark.parametrize("field", EXTREMES)
async def test_a_row_with_an_extreme_value_hides_no_other_from_a_reader(
    database: Database, owner_database: Database, request_factory: RequestFactory, field: str
) -> None:
    poisoned = await poisoned_requests(owner_database, request_factory, field, waits=True, partner=HONEST)
    honest = await request_factory.request(partner=HONEST)
    assert honest in await find_requests(database, [*poisoned, honest])
    await find_page(database, HONEST, user_id=0, after=FIRST_PAGE, limit=10)


async def test_a_relay_that_cannot_reach_kafka_parks_nothing(
    database: Database, owner_database: Database, request_factory: RequestFactory
) -> None:
    await request_factory.request(partner=HONEST)

    async def away(_entry: object) -> None:
        raise ExhaustError(ErrorCode.SERVICE_UNAVAILABLE, "Kafka does not answer")

    batch = await release_batch(database, away, max_in_flight_per_partner=1, claim_for=CLAIM_FOR)
    assert (batch.released, len(batch.failures), batch.parked) == (0, 1, [])
    assert await list_parked_requests(owner_database, limit=1) == []
