"""The requests of a partner that are at work, and those that wait in the outbox in the order of their release.

Readers of one partner at a time; the relay itself goes over all partners (outbox.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.postgres.pauses import PausedKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from exhaust.postgres.database import Database

# The order of releases within a partner, and what counts as at work, as outbox.py has it. What is paused stands in a
# line of its own. Requests of version 0.1.0 have no resource of their partner.
_LINES: Final = """
SELECT *, row_number() OVER (
    PARTITION BY partner, waits, paused IS NULL ORDER BY synchronous DESC, length, waiting_since
) AS turn
FROM (
    SELECT r.request_id, p.partner, r.synchronous, d.length, o.created_at AS waiting_since,
           o.created_at IS NOT NULL AS waits,
           greatest(d.length + 1 - (
               SELECT count(*) FROM request_days f WHERE f.request_id = r.request_id AND f.attempt = r.attempt
           ), 0)::bigint AS days_left,
           (SELECT u.kind FROM pauses u
            WHERE (u.kind, u.name) IN (('partner', p.partner), ('dataset', r.dataset_id))
            ORDER BY u.kind DESC LIMIT 1) AS paused
    FROM requests r
    LEFT JOIN outbox o ON (o.request_id, o.attempt) = (r.request_id, r.attempt)
        AND (o.claimed_until IS NULL OR o.claimed_until <= now()),
         LATERAL (SELECT coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner) p,
         LATERAL (SELECT readable_date(r.to_date) - readable_date(r.from_date) AS length) d
    WHERE r.state IN ('submitted', 'inprogress') AND r.parked_at IS NULL
      AND (r.partner_resource = ANY ($1) OR r.partner_resource = '' AND r.partner_id = ANY ($1))
) open
"""
# Of the least of what was told and what is true. A request that somebody has locked is on its way out of the line.
_TELL: Final = """
WITH told AS (
    SELECT r.request_id, t.place FROM requests r JOIN unnest($1::uuid[], $2::integer[]) AS t (request_id, place)
    USING (request_id)
    ORDER BY request_id FOR UPDATE OF r SKIP LOCKED
)
UPDATE requests r SET told_position = least(r.told_position, t.place) FROM told t WHERE r.request_id = t.request_id
RETURNING r.request_id, r.told_position
"""
_PACE: Final = """
SELECT percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY took_a_day) AS took_a_day
FROM (
    SELECT extract(epoch FROM ended_at - released_at)::float8
           / (readable_date(to_date) - readable_date(from_date) + 1) AS took_a_day
    FROM requests WHERE state = 'complete' AND released_at < ended_at AND ended_at > now() - $1::interval
    ORDER BY created_at DESC LIMIT $2
) latest
"""
LATEST: Final = 100  # requests whose pace is taken


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits in the outbox.

    Attributes:
        turn: its place among those of its partner that wait; of a paused one, among those that are paused.
        days: that are to be done.
        days_before: of the requests of its partner that have their turn before it.
        paused: of what an operator has paused, if it waits for that.
    """

    turn: int
    days: int
    days_before: int
    paused: PausedKind | None


@dataclass(slots=True)
class PartnerLine:
    """The requests of a partner that have not ended.

    Attributes:
        at_work: the days left of each that is released.
        waiting: those in the outbox that no gateway has in hand.
    """

    at_work: list[int] = field(default_factory=list)
    waiting: dict[UUID, Waiting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """The time a day that complete requests took since their release; one in ten took less, and one in ten more."""

    least: timedelta
    most: timedelta


async def find_partner_lines(database: Database, partners: Collection[str]) -> dict[str, PartnerLine]:
    """Return the lines of partners, by resource id; of a request of version 0.1.0 by the plain id."""
    rows = await database.fetch(_LINES, list(partners))
    lines = {partner: PartnerLine() for partner in partners}
    before: dict[tuple[str, bool], int] = {}
    for row in sorted(rows, key=lambda row: int(row["turn"])):
        line = lines[row["partner"]]
        if not row["waits"]:
            line.at_work.append(row["days_left"])
            continue
        paused = PausedKind(row["paused"]) if row["paused"] else None
        part = row["partner"], paused is None
        line.waiting[row["request_id"]] = Waiting(row["turn"], row["days_left"], before.get(part, 0), paused)
        before[part] = before.get(part, 0) + row["days_left"]
    return lines


async def tell_positions(database: Database, positions: Mapping[UUID, int]) -> dict[UUID, int]:
    """Keep which positions callers are told, and return them: none is greater than one that was told before."""
    rows = await database.fetch(_TELL, list(positions), list(positions.values()))
    return {**positions, **{row["request_id"]: row["told_position"] for row in rows}}


async def find_pace(database: Database, *, within: timedelta) -> Pace | None:
    """Return the pace of the latest complete requests; None when none was completed in that time."""
    row = await database.fetch_one(_PACE, within, LATEST)
    if row is None or row["took_a_day"] is None:
        return None
    return Pace(*(timedelta(seconds=seconds) for seconds in row["took_a_day"]))
