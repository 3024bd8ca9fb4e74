"""Keeping the index of dead letters: reading what is new on their topic, and forgetting what Kafka no longer has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.kafka.dead_letter_reader import read_letters
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.dead_letters import find_letters, known_ends, prune_letters, put_letters
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from exhaust.domain.dead_letters import LetterPlace
    from exhaust.kafka.records import Record
    from exhaust.kafka.topic_reader import TopicReader
    from exhaust.postgres.database import Database


@dataclass(frozen=True, slots=True)
class IndexRun:
    """What a run did: letters that came into the index, and letters that left it."""

    added: int
    pruned: int


async def index_dead_letters(database: Database, reader: TopicReader) -> IndexRun:
    """Bring the index up to date. Two may do it at once, and a second run after a kill goes on where the first was.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; what was read so far is in the index.
    """
    bounds = await reader.bounds(TOPIC_DEAD_LETTERS)
    pruned = await prune_letters(database, bounds)
    known = await known_ends(database)
    starts = {partition: max(first, known.get(partition, 0)) for partition, (first, _) in bounds.items()}
    added = 0
    async for letters in read_letters(reader, starts, {partition: end for partition, (_, end) in bounds.items()}):
        await put_letters(database, letters)
        added += len(letters)
    return IndexRun(added, pruned)


async def show_letter(
    database: Database, reader: TopicReader, place: LetterPlace, *, actor: str, reason: str = ""
) -> Record | None:
    """Return a dead letter with its bytes, after the audit has that somebody looked; None when Kafka has none there.

    Args:
        database: as whoever may write the audit.
        reader: of the cluster.
        place: of the letter.
        actor: who looks.
        reason: in that person's words, if they gave one.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; nothing is shown that is not in the audit.
    """
    record = await reader.read_one(TOPIC_DEAD_LETTERS, place.partition, place.offset)
    if record is None:
        return None
    found = (await find_letters(database, [place])).get(place)
    request_id = found.letter.request_id if found else None
    async with database.transaction() as connection:
        await record_action(
            connection,
            actor=actor,
            action=Action.SHOW_LETTER,
            subject=f"dead-letter/{place}",
            detail=({"request": str(request_id)} if request_id else {}) | ({"reason": reason} if reason else {}),
        )
    return record
