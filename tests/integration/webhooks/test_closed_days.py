"""A day is closed once, by the clock, and whoever may read the dataset is told."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from exhaust.postgres.database import Database
from exhaust.settings import DaySettings
from services.status.webhooks.day_closer import DayCloser
from tests.integration.conftest import RESOURCE
from tests.integration.webhooks.conftest import Hooks, Receiver

DATASET = "eks-consumption-raw"
EVENTS = ["day.closed"]
EVENING = datetime(2026, 11, 2, 3, 59, tzinfo=UTC)  # a minute before 2026-11-01 is closed
MORNING = EVENING + timedelta(minutes=1)


def closer(database: Database) -> DayCloser:
    return DayCloser(database, [DATASET, "channel-raw"], DaySettings(day_zone=ZoneInfo("UTC")))


async def grant(owner: Database, user: int, dataset: str | None, *, until: datetime | None = None) -> None:
    await owner.fetch(
        "INSERT INTO data_exhaust_users_resources (user_id, resource_id, dataset_id, expires_at)"
        " VALUES ($1, $2, $3, $4)",
        *(user, RESOURCE, dataset, until),
    )


async def test_a_closed_day_is_told_once(hooks: Hooks, owner_database: Database, receiver: Receiver) -> None:
    user = await hooks.requests.user()
    await grant(owner_database, user, DATASET)
    _, verifier = await hooks.create(receiver.base, user_id=user, events=EVENTS)
    days = closer(hooks.database)
    await days.close(EVENING)
    await days.close(EVENING)
    for _ in range(2):
        await closer(hooks.database).close(MORNING)
    await days.close(EVENING)  # of a clock that is behind
    async with hooks.deliverer():
        arrived = await receiver.wait_for(2)
    told = [verifier.verify(body, headers) for headers, body in arrived]
    assert {event["type"] for event in told} == {"day.closed"}
    assert sorted(event["data"]["date"] for event in told) == ["2026-10-31", "2026-11-01"]
    assert {event["data"]["datasetid"] for event in told} == {DATASET}
    assert len(await hooks.deliveries()) == 2


async def test_days_that_were_missed_are_told_in_their_turn(hooks: Hooks, owner_database: Database) -> None:
    user = await hooks.requests.user()
    await grant(owner_database, user, DATASET)
    await hooks.create("https://receiver.example.org/", user_id=user, events=EVENTS)
    days = closer(hooks.database)
    await days.close(MORNING)
    await days.close(MORNING + timedelta(days=3))
    told = [date.fromisoformat(row["data"]["date"]) for row in await hooks.deliveries()]
    assert told == [date(2026, 11, day) for day in (1, 2, 3, 4)]


async def test_only_those_are_told_who_may_read_the_dataset(hooks: Hooks, owner_database: Database) -> None:
    every, other, former, nobody = [await hooks.requests.user() for _ in range(4)]
    await grant(owner_database, every, None)
    await grant(owner_database, other, "another-dataset")
    await grant(owner_database, former, None, until=datetime.now(UTC) - timedelta(days=1))
    for user in (every, other, former, nobody):
        await hooks.create("https://receiver.example.org/", user_id=user, events=EVENTS)
    await hooks.create("https://receiver.example.org/", user_id=every, events=["request.complete"])
    await closer(hooks.database).close(MORNING)
    told = [(row["event"], row["data"]["datasetid"]) for row in await hooks.deliveries()]
    assert sorted(told) == [("day.closed", "channel-raw"), ("day.closed", DATASET)]
