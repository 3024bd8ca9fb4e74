"""The work that waits, by stage, as the tables know it: requests, whose they are, days of telemetry, and since when.

A request waits in the outbox while it has a row there, to be planned until its start is reported, and to be built until
it ends. What was finished is not counted here: rows are pruned, and such a count must only grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from exhaust.postgres.database import Database, Row

# Parked requests are nobody's work until an operator releases them. Those of datasets that others build are not ours.
# `held` and `paused` follow the relay (outbox.py): a partner may have so many requests in flight, and claimed ones
# count as such; of what an operator paused none is released.
# The bounds of dates are those of readable_date(), written out: a call for each row would take half of the time.
_LOOK: Final = """
WITH known AS MATERIALIZED (
    SELECT r.request_id, r.attempt, r.state, r.parked_at IS NOT NULL AS parked,
           r.dataset_id, coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner,
           w.request_id IS NOT NULL AND (w.claimed_until IS NULL OR w.claimed_until <= now()) AS unclaimed,
           CASE WHEN w.request_id IS NOT NULL THEN 'outbox' WHEN r.state = 'submitted' THEN 'plan' ELSE 'build' END
           AS stage, coalesce(w.created_at, r.moved_at) AS since,
           least(r.to_date, DATE '9999-12-31') - greatest(r.from_date, DATE '0001-01-01') + 1 AS days
    FROM requests r LEFT JOIN outbox w USING (request_id, attempt)
    WHERE r.state IN ('submitted', 'inprogress')
), open AS MATERIALIZED (
    SELECT k.*, unclaimed AND (
        partner IN (SELECT name FROM pauses WHERE kind = 'partner')
        OR dataset_id IN (SELECT name FROM pauses WHERE kind = 'dataset')
    ) AS paused
    FROM known k
), finished AS (
    SELECT d.request_id, count(*) AS days FROM request_days d JOIN open o USING (request_id, attempt)
    WHERE o.stage = 'build' GROUP BY d.request_id
), shares AS (
    SELECT o.stage, o.partner, count(*) AS requests, sum(greatest(o.days - coalesce(f.days, 0), 0)) AS days,
           min(o.since) FILTER (WHERE o.days > coalesce(f.days, 0) AND NOT o.paused) AS oldest,
           count(*) FILTER (WHERE o.paused) AS paused
    FROM open o LEFT JOIN finished f USING (request_id)
    WHERE NOT o.parked AND (o.dataset_id <> ALL ($2::text[]) OR o.stage = 'outbox')
    GROUP BY o.stage, o.partner
), partners AS (
    SELECT count(*) FILTER (WHERE unclaimed AND NOT paused) AS waiting,
           count(*) FILTER (WHERE NOT unclaimed) AS in_flight
    FROM open WHERE NOT parked GROUP BY partner
)
SELECT stage, sum(requests)::bigint AS requests, count(*) AS partners, sum(days)::bigint AS days,
       readable_time(min(oldest)) AS oldest, sum(paused)::bigint AS paused,
       (SELECT coalesce(sum(greatest(p.waiting - greatest($1 - p.in_flight, 0), 0)), 0) FROM partners p)::bigint AS held
FROM shares GROUP BY stage
UNION ALL
SELECT state, count(*), 0, 0, NULL, 0, 0
FROM (SELECT CASE WHEN parked THEN 'parked' ELSE state::text END AS state FROM open) o GROUP BY state
"""
STATES: Final = ("submitted", "inprogress", "parked")


@dataclass(frozen=True, slots=True)
class StageWork:
    """What waits in a stage.

    Attributes:
        requests: that stand in it.
        partners: whose they are.
        days: of telemetry that still have to be built because of them.
        oldest: since when the oldest stands there without progress; None when no work waits.
    """

    requests: int = 0
    partners: int = 0
    days: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """All work that is open.

    Attributes:
        outbox: accepted, and not yet released.
        held: requests in the outbox whose partner is at its limit in flight.
        paused: requests in the outbox that wait until an operator resumes them; none of them is the oldest.
        plan: released, and not yet known to have begun.
        build: begun, and not yet ended.
        requests: open requests by state; parked ones apart.
    """

    outbox: StageWork
    held: int
    paused: int
    plan: StageWork
    build: StageWork
    requests: Mapping[str, int]


async def find_open_work(
    database: Database, *, max_in_flight_per_partner: int, built_elsewhere: Collection[str] = ()
) -> OpenWork:
    """Return the open work.

    Args:
        database: the database.
        max_in_flight_per_partner: the relay's limit.
        built_elsewhere: datasets whose days another executor builds.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE.
    """
    rows = await database.fetch(_LOOK, max_in_flight_per_partner, list(built_elsewhere))
    found = {row["stage"]: row for row in rows}
    outbox = found.get("outbox")
    return OpenWork(
        outbox=_work(outbox),
        held=outbox["held"] if outbox else 0,
        paused=outbox["paused"] if outbox else 0,
        plan=_work(found.get("plan")),
        build=_work(found.get("build")),
        requests={state: found[state]["requests"] if state in found else 0 for state in STATES},
    )


def _work(row: Row | None) -> StageWork:
    return StageWork(row["requests"], row["partners"], row["days"], row["oldest"]) if row else StageWork()
