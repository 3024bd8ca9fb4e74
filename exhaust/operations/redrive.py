"""Redriving dead letters: their records go to their topics once more, unchanged, each once.

A letter is in one of three states. A run takes letters that wait in hand: it notes in the table where their topics end,
sends their records, and marks them. A run that was killed, or lost Kafka, leaves letters in hand; when nothing can be
on its way to Kafka any more, the next run looks for their records behind the noted ends, and sends those that it does
not find. Each record tells by a header which letter it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.dead_letters import LetterPlace, LetterState, redrive_refusal
from exhaust.errors import ExhaustError
from exhaust.kafka.dead_letter_reader import REDRIVEN_FROM, replay_of
from exhaust.kafka.producer import CLOSE_TIMEOUT, SEND_TIMEOUT, EventTooLargeError
from exhaust.operations.orders import ItemResult
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.dead_letters import (
    claim_letters,
    find_letters,
    mark_redriven,
    places_of_letters,
    release_letters,
    take_over_letters,
)
from exhaust.process.failpoints import failpoint
from schemas.events import TOPIC_DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from exhaust.domain.dead_letters import LetterFilter
    from exhaust.kafka.dead_letter_reader import Replay
    from exhaust.kafka.producer import Producer
    from exhaust.kafka.topic_reader import TopicReader
    from exhaust.operations.orders import Order
    from exhaust.postgres.database import Database
    from exhaust.postgres.dead_letters import IndexedLetter, SearchFrom

BATCH: Final = 50  # letters, of 2 MiB at most
# Longer than anything that a run sends can be on its way: to find the topic, to send, and to give the producer up.
CLAIM_FOR: Final = 2 * SEND_TIMEOUT + CLOSE_TIMEOUT + timedelta(seconds=10)
# A run that stood still for so long after it took letters in hand sends none of them.
SEND_WITHIN: Final = timedelta(seconds=10)


@dataclass(slots=True)
class _Batch:
    """Some letters, and what a run finds out about each.

    Attributes:
        results: of letters that are settled.
        replays: the records to send.
        found: letters whose records an earlier run has sent.
        sent: letters whose records this run has sent.
    """

    letters: Mapping[LetterPlace, IndexedLetter]
    results: dict[LetterPlace, ItemResult] = field(default_factory=dict)
    replays: dict[LetterPlace, Replay] = field(default_factory=dict)
    found: set[LetterPlace] = field(default_factory=set)
    sent: set[LetterPlace] = field(default_factory=set)

    def settle(self, place: LetterPlace) -> bool:
        """Return True for a letter that must not be redriven, and note why."""
        indexed = self.letters.get(place)
        if indexed is None:
            refusal = "there is no such dead letter"
        elif indexed.state is LetterState.REDRIVEN:
            at = indexed.moved_at.isoformat(timespec="seconds") if indexed.moved_at else "an unknown time"
            refusal = f"it was redriven already, at {at}"
        else:
            same = f"letter {indexed.same_as} is of the same record" if indexed.same_as else ""
            refusal = redrive_refusal(indexed.letter) or same
        if refusal:
            self.refuse(place, refusal)
        return bool(refusal)

    def refuse(self, place: LetterPlace, what: str) -> None:
        self.results[place] = ItemResult(_subject(place), done=False, what=what)

    def do(self, place: LetterPlace, what: str) -> None:
        self.results[place] = ItemResult(_subject(place), done=True, what=what)


async def open_letters(database: Database, cause: LetterFilter) -> list[LetterPlace]:
    """Return the letters of a cause that were not redriven; what a run left in hand is among them.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    found = []
    for state in (LetterState.WAITING, LetterState.SENDING):
        found += await places_of_letters(database, replace(cause, state=state))
    return sorted(found)


async def plan_redrive(database: Database, places: Iterable[LetterPlace]) -> AsyncIterator[ItemResult]:
    """Say what a run would do with letters, by the index alone.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    named = list(dict.fromkeys(places))
    for start in range(0, len(named), BATCH):
        some = named[start : start + BATCH]
        batch = _Batch(await find_letters(database, some))
        for place in some:
            if not batch.settle(place):
                letter = batch.letters[place].letter
                batch.do(place, f"would be sent to {letter.topic}, as replay {letter.replays + 1}")
            yield batch.results[place]


class Redrive:
    """Redrives dead letters that the index has."""

    def __init__(
        self,
        database: Database,
        reader: TopicReader,
        producer: Producer,
        order: Order,
        *,
        claim_for: timedelta = CLAIM_FOR,
    ) -> None:
        """Prepare.

        Args:
            database: with the index.
            reader: of the cluster.
            producer: of the same.
            order: who wants it, and why.
            claim_for: how long a letter is in hand at most.
        """
        self._database = database
        self._reader = reader
        self._producer = producer
        self._order = order
        self._claim_for = claim_for

    async def run(self, places: Iterable[LetterPlace]) -> AsyncIterator[ItemResult]:
        """Redrive letters. What another run has in hand comes last: this waits until it is marked, or left behind.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE; a second run does the rest.
        """
        held: list[LetterPlace] = []
        async for place, result in self._batches(list(dict.fromkeys(places))):
            if result is None:
                held.append(place)
            else:
                yield result
        if held:
            await self._wait_for(held)
        async for place, result in self._batches(held):
            yield result or ItemResult(_subject(place), done=False, what="another run has it in hand")

    async def _batches(self, places: list[LetterPlace]) -> AsyncIterator[tuple[LetterPlace, ItemResult | None]]:
        """Redrive letters, some at once; those that another run has in hand have no result."""
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            batch = _Batch(await find_letters(self._database, some))
            unsettled = [place for place in some if not batch.settle(place)]
            if unsettled:
                await self._redrive(batch, [place for place in unsettled if not _is_held(batch.letters[place])])
            for place in some:
                yield place, batch.results.get(place)

    async def _wait_for(self, held: Collection[LetterPlace]) -> None:
        found = await find_letters(self._database, held)
        waits = [indexed.held_for.total_seconds() for indexed in found.values() if indexed.held_for is not None]
        await asyncio.sleep(max(0, *waits, 0))

    async def _redrive(self, batch: _Batch, places: list[LetterPlace]) -> None:
        """Redrive letters that wait, or that a run had in hand which has ended."""
        left = {
            place: until
            for place in places
            if batch.letters[place].state is LetterState.SENDING
            and (until := batch.letters[place].held_until) is not None
        }
        found = await self._look_for([batch.letters[place] for place in left])
        await self._read(batch, [place for place in places if place not in found])
        waiting = [place for place in batch.replays if place not in left]
        ends = await self._ends({batch.replays[place].topic for place in waiting})
        began = time.monotonic()
        claimed = await claim_letters(self._database, waiting, self._claim_for, ends)
        taken = await take_over_letters(self._database, left, self._claim_for)
        batch.found = found & taken
        failpoint("redrive.after_claim")
        await self._send_all(batch, sorted((claimed | taken) & set(batch.replays)), began)
        failpoint("redrive.after_send")
        await self._mark(batch)

    async def _ends(self, topics: Iterable[str]) -> SearchFrom:
        return {
            topic: {str(partition): end for partition, (_, end) in (await self._reader.bounds(topic)).items()}
            for topic in sorted(topics)
        }

    async def _look_for(self, left: Sequence[IndexedLetter]) -> set[LetterPlace]:
        """Return the letters whose records are on their topics, behind the ends that were noted."""
        starts: dict[str, dict[int, int]] = {}
        for indexed in left:
            topic, ends = indexed.letter.topic, (indexed.search_from or {}).get(indexed.letter.topic, {})
            partitions = starts.setdefault(topic, {})
            for partition in map(int, ends):
                partitions[partition] = min(ends[str(partition)], partitions.get(partition, ends[str(partition)]))
        names = {str(indexed.letter.place): indexed.letter.place for indexed in left}
        found = set()
        for topic, noted in starts.items():
            for partition, (first, end) in (await self._reader.bounds(topic)).items():
                start = max(first, noted.get(partition, first))
                async for records in self._reader.read(topic, partition, start=start, end=end):
                    found |= names.keys() & {record.header(REDRIVEN_FROM) for record in records}
        return {names[name] for name in found}

    async def _read(self, batch: _Batch, places: Iterable[LetterPlace]) -> None:
        """Read the records of letters."""
        wanted: dict[int, list[int]] = {}
        for place in places:
            wanted.setdefault(place.partition, []).append(place.offset)
        records = await self._reader.read_some(TOPIC_DEAD_LETTERS, wanted)
        for place in places:
            record = records.get((place.partition, place.offset))
            if record is None:
                batch.refuse(place, "Kafka does not have it any more")
            elif hashlib.sha256(record.value).digest() != batch.letters[place].letter.digest:
                batch.refuse(place, "another dead letter lies in its place; list them, and look again")
            else:
                batch.replays[place] = replay_of(record)

    async def _send_all(self, batch: _Batch, places: Collection[LetterPlace], began: float) -> None:
        """Send the records of letters that are in hand since then, unless the run stood still meanwhile."""
        if time.monotonic() - began > SEND_WITHIN.total_seconds():
            await release_letters(self._database, places)
            for place in places:
                batch.refuse(place, "the run stood still; run it again")
            return
        await asyncio.gather(*[self._send(batch, place, batch.replays[place]) for place in places])

    async def _send(self, batch: _Batch, place: LetterPlace, replay: Replay) -> None:
        """Send a record and note it. When the outcome is unknown, its letter stays in batch."""
        try:
            await self._producer.send_raw(replay.topic, replay.key, replay.value, replay.headers)
        except EventTooLargeError as error:
            await release_letters(self._database, [place])
            batch.refuse(place, error.message)
        except ExhaustError as error:
            batch.refuse(place, f"{error.message}; the next run looks whether the topic has it")
        else:
            batch.sent.add(place)

    async def _mark(self, batch: _Batch) -> None:
        """Mark what is on its topic, each with its row of the audit."""
        ended = sorted(batch.sent | batch.found)
        async with self._database.transaction() as connection:
            marked = await mark_redriven(connection, ended)
            for place in sorted(marked):
                letter = batch.letters[place].letter
                await record_action(
                    connection,
                    actor=self._order.actor,
                    action=Action.REDRIVE,
                    subject=_subject(place),
                    detail={"reason": self._order.reason, "topic": letter.topic, "replay": letter.replays + 1},
                )
        for place in ended:
            letter = batch.letters[place].letter
            how = "is there, sent by a run that ended" if place in batch.found else "was sent"
            batch.do(place, f"{how}: {letter.topic}, as replay {letter.replays + 1}")


def _is_held(indexed: IndexedLetter) -> bool:
    return indexed.held_for is not None and indexed.held_for > timedelta(0)


def _subject(place: LetterPlace) -> str:
    return f"dead-letter/{place}"
