"""Redriving dead letters: unchanged, once, to where they came from; also when a run is killed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.dead_letters import LetterPlace
from exhaust.errors import unavailable
from exhaust.kafka.dead_letter_reader import REDRIVEN_FROM, REPLAYS
from exhaust.kafka.producer import Producer
from exhaust.kafka.records import Record, RejectionCode
from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.operations.dead_letter_index import index_dead_letters
from exhaust.operations.redrive import Redrive, plan_redrive
from exhaust.postgres.audit import Action
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DEAD_LETTERS
from tests.integration.operations.conftest import ORDER, REASON, Operator

if TYPE_CHECKING:
    from exhaust.operations.orders import ItemResult
    from exhaust.postgres.database import Database
    from tests.integration.operations.letters import Letters

SHORT = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _empty(database: Database) -> None:
    """Empty tables."""


async def redrive(owner: Database, letters: Letters, *places: LetterPlace, dry_run: bool = False) -> list[ItemResult]:
    await index_dead_letters(owner, letters.reader)
    named = places or sorted(await letters.places())
    if dry_run:
        return [result async for result in plan_redrive(owner, named)]
    run = Redrive(owner, letters.reader, letters.producer, ORDER, claim_for=SHORT)
    return [result async for result in run.run(named)]


async def another_run(owner: Database, letters: Letters, places: list[LetterPlace]) -> list[ItemResult]:
    async with open_topic_reader(letters.settings) as reader:
        run = Redrive(owner, reader, letters.producer, ORDER, claim_for=timedelta(seconds=10))
        return [result async for result in run.run(places)]


def own_headers(record: Record) -> list[tuple[str, bytes]]:
    return [header for header in record.headers if header[0] not in {REPLAYS, REDRIVEN_FROM}]


async def test_a_record_goes_back_as_it_was(owner_database: Database, letters: Letters, operator: Operator) -> None:
    record = letters.record(7)
    await letters.bury(record)
    [place] = await letters.places()
    [planned] = await redrive(owner_database, letters, dry_run=True)
    assert (planned.done, planned.what) == (True, f"would be sent to {TOPIC_COMPLETIONS}, as replay 1")
    assert await letters.on(TOPIC_COMPLETIONS) == []
    [result] = await redrive(owner_database, letters)
    assert (result.done, result.what) == (True, f"was sent: {TOPIC_COMPLETIONS}, as replay 1")
    [sent] = await letters.on(TOPIC_COMPLETIONS)
    assert (sent.key, sent.value, own_headers(sent)) == (record.key, record.value, list(record.headers))
    assert (sent.header(REPLAYS), sent.header(REDRIVEN_FROM)) == ("1", str(place))
    assert await operator.acts(Action.REDRIVE) == [("service/test", f"dead-letter/{place}", REASON)]
    [again] = await redrive(owner_database, letters)
    assert (again.done, again.what.startswith("it was redriven already, at ")) == (False, True)
    assert len(await letters.on(TOPIC_COMPLETIONS)) == 1


async def test_a_record_is_redriven_three_times_at_most(owner_database: Database, letters: Letters) -> None:
    record = letters.record(7)
    for number in range(1, 4):
        await letters.bury(record)
        place = max(await letters.places(), key=lambda place: place.offset)
        [result] = await redrive(owner_database, letters, place)
        assert result.what.endswith(f"as replay {number}"), result
        record = (await letters.on(TOPIC_COMPLETIONS))[-1]
        assert record.header(REPLAYS) == str(number)
        assert own_headers(record) == own_headers(letters.record(7))
    await letters.bury(record)
    place = max(await letters.places(), key=lambda place: place.offset)
    [result] = await redrive(owner_database, letters, place)
    assert (result.done, result.what) == (False, "it was redriven 3 times already; 3 are the most")
    assert len(await letters.on(TOPIC_COMPLETIONS)) == 3


async def test_what_is_not_the_record_or_has_nowhere_to_go_is_refused(
    owner_database: Database, letters: Letters
) -> None:
    await letters.bury_cut(letters.record(1))
    await letters.bury(letters.record(2, topic=TOPIC_DEAD_LETTERS))
    await letters.bury(letters.record(3, topic="somebody-elses"))
    await letters.bury(letters.record(4), code=RejectionCode.UNREADABLE)
    twice = letters.record(5)
    await letters.bury(twice, twice)
    results = await redrive(owner_database, letters)
    assert sum(result.done for result in results) == 1
    told = " | ".join(result.what for result in results if not result.done)
    for why in (
        "it was cut (value)",
        "('dataset.dead-letters')",
        "('somebody-elses')",
        "could not be read",
        "same record",
    ):
        assert why in told
    assert [record.value for record in await letters.on(TOPIC_COMPLETIONS)] == [twice.value]
    [unknown] = await redrive(owner_database, letters, LetterPlace(0, 10**12))
    assert unknown.what == "there is no such dead letter"


async def test_two_runs_at_once_send_each_record_once(owner_database: Database, letters: Letters) -> None:
    await letters.bury(*(letters.record(number) for number in range(30)))
    await index_dead_letters(owner_database, letters.reader)
    places = sorted(await letters.places())
    runs = await asyncio.gather(*(another_run(owner_database, letters, places) for _ in range(2)))
    assert sum(result.done for run in runs for result in run) == 30
    assert sorted(record.key or b"" for record in await letters.on(TOPIC_COMPLETIONS)) == sorted(
        b"key-%d" % number for number in range(30)
    )


class LosesAnswers(Producer):
    """Sends, and does not hear that it did."""

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        await super().send_raw(topic, key, value, headers)
        raise unavailable("Kafka")


async def test_a_record_whose_answer_was_lost_is_found_and_not_sent_again(
    owner_database: Database, letters: Letters, operator: Operator
) -> None:
    await letters.bury(*(letters.record(number) for number in range(3)))
    places = sorted(await letters.places())
    await index_dead_letters(owner_database, letters.reader)
    deaf = LosesAnswers(letters.settings)
    lost = [
        result async for result in Redrive(owner_database, letters.reader, deaf, ORDER, claim_for=SHORT).run(places)
    ]
    await deaf.close()
    assert [result.done for result in lost] == [False] * 3
    assert all(result.what.endswith("the next run looks whether the topic has it") for result in lost)
    assert await operator.acts(Action.REDRIVE) == []
    found = await redrive(owner_database, letters)
    assert [result.what.startswith("is there, sent by a run that ended") for result in found] == [True] * 3
    assert len(await letters.on(TOPIC_COMPLETIONS)) == 3
    assert len(await operator.acts(Action.REDRIVE)) == 3
