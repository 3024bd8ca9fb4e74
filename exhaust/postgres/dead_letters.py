"""The table dead_letters: an index of the topic of dead letters, and what became of each. The bytes stay in Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.domain.dead_letters import (
    MAX_REPLAYS,
    NOT_THE_RECORD,
    TARGET_TOPICS,
    Letter,
    LetterCause,
    LetterCounts,
    LetterPlace,
    LetterState,
)
from exhaust.postgres.database import PLAN_FOR_VALUES
from schemas.events import OUR_SOURCES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from exhaust.domain.dead_letters import LetterFilter
    from exhaust.postgres.database import Connection, Database, Row

_KNOWN: Final = "SELECT kafka_partition, max(kafka_offset) + 1 AS following FROM dead_letters GROUP BY kafka_partition"
# Another letter at a place that is known lies on a topic that was created anew.
_PUT: Final = """
INSERT INTO dead_letters AS d (kafka_partition, kafka_offset, written_at, topic, record_partition, record_offset,
    consumer_group, code, pointer, error, source, request_id, object, size, digest, truncated, replays)
SELECT * FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::text[], $5::integer[], $6::bigint[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::bigint[],
    $15::bytea[], $16::text[], $17::integer[])
ON CONFLICT (kafka_partition, kafka_offset) DO UPDATE SET
    written_at = EXCLUDED.written_at, topic = EXCLUDED.topic, record_partition = EXCLUDED.record_partition,
    record_offset = EXCLUDED.record_offset, consumer_group = EXCLUDED.consumer_group, code = EXCLUDED.code,
    pointer = EXCLUDED.pointer, error = EXCLUDED.error, source = EXCLUDED.source, request_id = EXCLUDED.request_id,
    object = EXCLUDED.object, size = EXCLUDED.size, digest = EXCLUDED.digest, truncated = EXCLUDED.truncated,
    replays = EXCLUDED.replays, state = 'waiting', claimed_until = NULL, search_from = NULL, moved_at = NULL
WHERE (d.digest, d.written_at) IS DISTINCT FROM (EXCLUDED.digest, EXCLUDED.written_at)
"""
_PRUNE: Final = """
WITH gone AS (
    DELETE FROM dead_letters d USING unnest($1::integer[], $2::bigint[], $3::bigint[]) AS b (partition, first, ends)
    WHERE d.kafka_partition = b.partition AND (d.kafka_offset < b.first OR d.kafka_offset >= b.ends)
    RETURNING 1
)
SELECT count(*) AS gone FROM gone
"""
# Undelivered is what may be redriven (exhaust.domain.dead_letters.redrive_refusal), and is not our own, which a retry
# sends anew.
_COUNTS: Final = """
SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE written_at >= date_trunc('day', now(), 'UTC')) AS today,
       count(*) FILTER (WHERE undelivered) AS undelivered,
       readable_time(min(written_at) FILTER (WHERE undelivered)) AS oldest
FROM (
    SELECT state, written_at, state = 'waiting' AND topic = ANY($1) AND truncated = '' AND code <> ALL($2)
        AND replays < $3 AND NOT starts_with(source, $4) AS undelivered
    FROM dead_letters
) d
"""
_CONDITIONS: Final = """
    ($1::text IS NULL OR code = $1) AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR object = $3)
    AND ($4::text IS NULL OR topic = $4) AND ($5::uuid IS NULL OR request_id = $5)
    AND ($6::text IS NULL OR state = $6) AND ($7::timestamptz IS NULL OR written_at >= $7)
"""
_COUNTED: Final = """
SELECT code, source, object, topic, count(*) AS letters, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       min(written_at) AS first, max(written_at) AS latest
FROM dead_letters
"""
_CAUSES: Final = f"{_COUNTED} WHERE {_CONDITIONS} GROUP BY 1, 2, 3, 4 ORDER BY latest DESC NULLS LAST LIMIT $8"
_EVERY_PLACE: Final = "SELECT kafka_partition, kafka_offset FROM dead_letters"
_PLACES: Final = f"{_EVERY_PLACE} WHERE {_CONDITIONS} ORDER BY kafka_partition, kafka_offset"
# An earlier letter of the same record: a consumer that was killed may have sent two of one.
_COLUMNS: Final = """
SELECT d.*, d.claimed_until - now() AS held_for, (
    SELECT e.kafka_partition || '/' || e.kafka_offset FROM dead_letters e
    WHERE e.topic = d.topic AND e.record_partition = d.record_partition AND e.record_offset = d.record_offset
      AND e.digest = d.digest AND e.consumer_group = d.consumer_group
      AND (e.kafka_partition, e.kafka_offset) < (d.kafka_partition, d.kafka_offset)
    ORDER BY e.kafka_partition, e.kafka_offset LIMIT 1
) AS same_as FROM
"""
_EVERY: Final = "SELECT * FROM dead_letters"
# As the indexes have it: one without a time is older than all others.
_AGE: Final = "coalesce(written_at, timestamptz '-infinity')"
_LATEST: Final = f"ORDER BY {_AGE} DESC, kafka_partition DESC, kafka_offset DESC"
_BEHIND: Final = f"""
    ($9::integer IS NULL
     OR ({_AGE}, kafka_partition, kafka_offset) < (coalesce($10, timestamptz '-infinity'), $9, $11::bigint))
"""
_LIST: Final = f"{_COLUMNS} ({_EVERY} WHERE {_CONDITIONS} AND {_BEHIND} {_LATEST} LIMIT $8) d {_LATEST}"
_NAMED: Final = "unnest($1::integer[], $2::bigint[]) AS w (p, o)"
_IS_NAMED: Final = "(d.kafka_partition, d.kafka_offset) = (w.p, w.o)"
_FIND: Final = f"{_COLUMNS} dead_letters d JOIN {_NAMED} ON {_IS_NAMED}"
_SET: Final = "UPDATE dead_letters d SET claimed_until ="
_RETURN: Final = "RETURNING d.kafka_partition, d.kafka_offset"
_CLAIM: Final = f"""
{_SET} now() + $3::interval, state = 'sending', search_from = $4, moved_at = now()
FROM {_NAMED} WHERE {_IS_NAMED} AND d.state = 'waiting' {_RETURN}
"""
# What a run had in hand that was killed, or lost Kafka.
_TAKE_OVER: Final = f"""
{_SET} now() + $3::interval FROM unnest($1::integer[], $2::bigint[], $4::timestamptz[]) AS w (p, o, seen)
WHERE {_IS_NAMED} AND d.state = 'sending' AND d.claimed_until = w.seen AND w.seen <= now() {_RETURN}
"""
_END: Final = f"{_SET} NULL, search_from = NULL, moved_at = now(), state ="
_RELEASE: Final = f"{_END} 'waiting' FROM {_NAMED} WHERE {_IS_NAMED} AND d.state = 'sending'"
_MARK: Final = f"{_END} 'redriven' FROM {_NAMED} WHERE {_IS_NAMED} AND d.state = 'sending' {_RETURN}"

# To count by the index that covers the causes is to read a tenth of the table, whatever the disk is.
_INDEX_IS_NEAR: Final = "SET LOCAL random_page_cost = 1.1"

SearchFrom = dict[str, dict[str, int]]  # by topic and partition, the end before a record was sent there


@dataclass(frozen=True, slots=True)
class LetterCursor:
    """The last letter of a page; the next page goes on behind it."""

    written_at: datetime | None
    place: LetterPlace


@dataclass(frozen=True, slots=True)
class IndexedLetter:
    """A dead letter in the index.

    Attributes:
        state: what became of it.
        moved_at: when the state last changed; None when it never did.
        held_until: until when a run has it in hand; None when none has.
        held_for: how long that is from now on; nothing is left, or less, when that run has ended.
        search_from: of the same, from where on its record may lie on its topic.
        same_as: an earlier letter of the same record, by its place; None when there is none.
    """

    letter: Letter
    state: LetterState
    moved_at: datetime | None
    held_until: datetime | None
    held_for: timedelta | None
    search_from: SearchFrom | None
    same_as: str | None


async def known_ends(database: Database) -> dict[int, int]:
    """Return by partition the offset after the last letter that the index has."""
    return {row["kafka_partition"]: row["following"] for row in await database.fetch(_KNOWN)}


async def put_letters(database: Database, letters: Sequence[Letter]) -> None:
    """Put letters into the index; those that it has stay as they are."""
    rows = [
        (
            *(letter.place.partition, letter.place.offset, letter.written_at, letter.topic, letter.record_partition),
            *(letter.record_offset, letter.group, letter.code, letter.pointer, letter.error, letter.source),
            *(letter.request_id, letter.object, letter.size, letter.digest, letter.truncated, letter.replays),
        )
        for letter in letters
    ]
    if rows:
        await database.fetch(_PUT, *map(list, zip(*rows, strict=True)))


async def prune_letters(database: Database, bounds: Mapping[int, tuple[int, int]]) -> int:
    """Remove what Kafka no longer has: by partition, its first offset and its end. Return how many were removed."""
    firsts, ends = [first for first, _ in bounds.values()], [end for _, end in bounds.values()]
    row = await database.fetch_one(_PRUNE, list(bounds), firsts, ends)
    return row["gone"] if row else 0


async def count_letters(reading: Database | Connection) -> LetterCounts:
    """Return how many dead letters there are."""
    row = await reading.fetch_one(_COUNTS, list(TARGET_TOPICS), list(NOT_THE_RECORD), MAX_REPLAYS, OUR_SOURCES)
    return LetterCounts(**dict(row)) if row else LetterCounts()


async def count_letter_causes(database: Database, wanted: LetterFilter, *, limit: int) -> list[LetterCause]:
    """Return the causes of letters, that of the latest letter first."""
    return [LetterCause(*row.values()) for row in await _search(database, _CAUSES, *_values(wanted), limit)]


async def list_letters(
    database: Database, wanted: LetterFilter, *, limit: int, after: LetterCursor | None = None
) -> list[IndexedLetter]:
    """Return the letters that meet all conditions, the latest first.

    Args:
        database: with the index.
        wanted: the conditions.
        limit: letters at most.
        after: where the page before ended; None for the first page.
    """
    place = after.place if after else (None, None)
    behind = (place[0], after.written_at if after else None, place[1])
    return [_indexed(row) for row in await _search(database, _LIST, *_values(wanted), limit, *behind)]


async def places_of_letters(database: Database, wanted: LetterFilter) -> list[LetterPlace]:
    """Return the places of the letters that meet all conditions, in the order of the topic."""
    return [LetterPlace(*row.values()) for row in await _search(database, _PLACES, *_values(wanted))]


async def find_letters(database: Database, places: Collection[LetterPlace]) -> dict[LetterPlace, IndexedLetter]:
    """Return the letters at these places, as far as the index has them."""
    found = [_indexed(row) for row in await database.fetch(_FIND, *_split(places))]
    return {indexed.letter.place: indexed for indexed in found}


async def claim_letters(
    database: Database, places: Collection[LetterPlace], claim_for: timedelta, search_from: SearchFrom
) -> set[LetterPlace]:
    """Take letters in hand that wait, and return which: nobody else gets them for that time.

    Args:
        database: as whoever may redrive.
        places: of the letters.
        claim_for: longer than a send can take.
        search_from: the ends of their topics now; what is sent lies behind them.
    """
    rows = await database.fetch(_CLAIM, *_split(places), claim_for, search_from)
    return {LetterPlace(*row.values()) for row in rows}


async def take_over_letters(
    database: Database, seen: Mapping[LetterPlace, datetime], claim_for: timedelta
) -> set[LetterPlace]:
    """Take letters in hand that a run had that has ended, and return which.

    Args:
        database: as whoever may redrive.
        seen: until when that run had each; if that has changed, somebody else was first.
        claim_for: longer than a send can take.
    """
    rows = await database.fetch(_TAKE_OVER, *_split(seen), claim_for, list(seen.values()))
    return {LetterPlace(*row.values()) for row in rows}


async def release_letters(database: Database, places: Collection[LetterPlace]) -> None:
    """Let letters wait again that were not sent."""
    await database.fetch(_RELEASE, *_split(places))


async def mark_redriven(connection: Connection, places: Collection[LetterPlace]) -> set[LetterPlace]:
    """Mark letters in hand as redriven, in the transaction of their audit; return those that nobody marked before."""
    rows = await connection.fetch(_MARK, *_split(places))
    return {LetterPlace(*row.values()) for row in rows}


async def _search(database: Database, sql: str, *values: object) -> list[Row]:
    async with database.transaction() as connection:
        await connection.execute(PLAN_FOR_VALUES)  # the best index depends on the conditions that are set
        await connection.execute(_INDEX_IS_NEAR)
        return await connection.fetch(sql, *values)


def _values(wanted: LetterFilter) -> tuple[object, ...]:
    return (
        *(wanted.code, wanted.source, wanted.source_object, wanted.topic, wanted.request_id, wanted.state),
        wanted.since,
    )


def _split(places: Collection[LetterPlace]) -> tuple[list[int], list[int]]:
    return [place.partition for place in places], [place.offset for place in places]


def _indexed(row: Row) -> IndexedLetter:
    letter = Letter(
        place=LetterPlace(row["kafka_partition"], row["kafka_offset"]),
        written_at=row["written_at"],
        topic=row["topic"],
        record_partition=row["record_partition"],
        record_offset=row["record_offset"],
        group=row["consumer_group"],
        code=row["code"],
        pointer=row["pointer"],
        error=row["error"],
        source=row["source"],
        request_id=row["request_id"],
        object=row["object"],
        size=row["size"],
        digest=row["digest"],
        truncated=row["truncated"],
        replays=row["replays"],
    )
    return IndexedLetter(
        letter=letter,
        state=LetterState(row["state"]),
        moved_at=row["moved_at"],
        held_until=row["claimed_until"],
        held_for=row["held_for"],
        search_from=row["search_from"],
        same_as=row["same_as"],
    )
