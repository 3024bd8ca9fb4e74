"""The index of dead letters: what it knows, where it goes on, and what it forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exhaust.domain.dead_letters import LetterFilter, LetterPlace, LetterState
from exhaust.kafka.records import RejectionCode
from exhaust.operations.dead_letter_index import index_dead_letters, show_letter
from exhaust.postgres.audit import Action
from exhaust.postgres.dead_letters import (
    count_letter_causes,
    find_letters,
    known_ends,
    list_letters,
    places_of_letters,
    prune_letters,
)
from schemas.events import TOPIC_COMPLETIONS, TOPIC_DAYS, TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from exhaust.kafka.topic_reader import TopicReader
    from exhaust.postgres.database import Database
    from tests.integration.operations.conftest import Operator
    from tests.integration.operations.letters import Letters


@pytest.fixture(autouse=True)
def _empty(database: Database) -> None:
    """Empty tables."""


async def of_source(owner: Database, letters: Letters) -> list[LetterPlace]:
    return await places_of_letters(owner, LetterFilter(source=letters.source))


async def test_letters_are_known_by_what_they_tell(owner_database: Database, letters: Letters) -> None:
    record = letters.record(7)
    await letters.bury(record)
    await index_dead_letters(owner_database, letters.reader)
    [found] = await list_letters(owner_database, LetterFilter(source=letters.source), limit=10)
    [buried] = await letters.buried()
    assert found.letter == buried
    assert (found.state, found.held_until, found.same_as) == (LetterState.WAITING, None, None)
    assert (buried.topic, buried.record_partition, buried.record_offset) == (TOPIC_COMPLETIONS, 0, 7)
    assert (buried.code, buried.pointer, buried.group) == ("UNKNOWN_REQUEST", "/requestid", "test-group")
    assert buried.error == "RejectedRecordError: nobody knows it"
    assert str(buried.request_id).encode() in record.value
    assert (buried.size, buried.truncated, buried.replays) == (len(record.value), "", 0)


async def test_it_goes_on_where_it_was_and_a_second_look_changes_nothing(
    owner_database: Database, letters: Letters
) -> None:
    await letters.bury(*(letters.record(number) for number in range(5)))
    first = await index_dead_letters(owner_database, letters.reader)
    assert first.added >= 5
    assert (await index_dead_letters(owner_database, letters.reader)).added == 0
    await letters.bury(letters.record(5))
    assert (await index_dead_letters(owner_database, letters.reader)).added == 1
    assert await of_source(owner_database, letters) == sorted(await letters.places())


async def test_what_kafka_no_longer_has_is_forgotten(owner_database: Database, letters: Letters) -> None:
    await letters.bury(*(letters.record(number) for number in range(3)))
    await index_dead_letters(owner_database, letters.reader)
    places = sorted(await letters.places())
    gone = places[0]
    ends = await known_ends(owner_database)
    bounds = {partition: (0, end) for partition, end in ends.items()} | {
        gone.partition: (gone.offset + 1, ends[gone.partition])
    }
    assert await prune_letters(owner_database, bounds) >= 1
    assert await of_source(owner_database, letters) == places[1:]
    # A topic that was created anew is shorter than what is known.
    assert await prune_letters(owner_database, dict.fromkeys(ends, (0, 0))) >= 2
    assert await of_source(owner_database, letters) == []
    await index_dead_letters(owner_database, letters.reader)
    assert await of_source(owner_database, letters) == places


async def test_letters_are_counted_by_cause(owner_database: Database, letters: Letters) -> None:
    await letters.bury(letters.record(1), letters.record(2))
    await letters.bury(letters.record(3, topic=TOPIC_DAYS), code=RejectionCode.INTERNAL)
    await index_dead_letters(owner_database, letters.reader)
    causes = await count_letter_causes(owner_database, LetterFilter(source=letters.source), limit=10)
    assert [(cause.code, cause.topic, cause.letters, cause.waiting) for cause in causes] == [
        ("INTERNAL", TOPIC_DAYS, 1, 1),
        ("UNKNOWN_REQUEST", TOPIC_COMPLETIONS, 2, 2),
    ]


async def test_a_second_letter_of_the_same_record_is_told(owner_database: Database, letters: Letters) -> None:
    record = letters.record(1)
    await letters.bury(record, record)
    await index_dead_letters(owner_database, letters.reader)
    first, second = sorted(await letters.places())
    found = await find_letters(owner_database, [first, second])
    assert (found[first].same_as, found[second].same_as) == (None, str(first))


async def test_anybody_may_have_written_a_letter(owner_database: Database, letters: Letters) -> None:
    headers = [
        ("ce_source", letters.source.encode()),
        ("dl_topic", b"a\0b"),
        ("dl_offset", b"9" * 40),
        ("dl_code", b"\xff"),
    ]
    await letters.producer.send_raw(TOPIC_DEAD_LETTERS, b"k", None, headers)
    await letters.producer.send_raw(TOPIC_DEAD_LETTERS, b"\xff", b"[" * 10_000, headers)
    await index_dead_letters(owner_database, letters.reader)
    found = await list_letters(owner_database, LetterFilter(source=letters.source), limit=10)
    assert {(one.letter.topic, one.letter.record_offset, one.letter.code) for one in found} == {
        ("a\ufffdb", None, "\ufffd")
    }


async def test_showing_a_letter_is_in_the_audit(
    owner_database: Database, reader: TopicReader, letters: Letters, operator: Operator
) -> None:
    record = letters.record(1)
    await letters.bury(record)
    await index_dead_letters(owner_database, reader)
    [place] = await letters.places()
    shown = await show_letter(owner_database, reader, place, actor="service/asha")
    assert shown is not None
    assert shown.value == record.value
    assert await operator.acts(Action.SHOW_LETTER) == [("service/asha", f"dead-letter/{place}", "")]
    assert await show_letter(owner_database, reader, LetterPlace(0, 10**12), actor="service/asha") is None
    assert len(await operator.acts(Action.SHOW_LETTER)) == 1
