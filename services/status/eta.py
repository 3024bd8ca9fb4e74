"""When a request will be complete, as a range: from its own pace, from that of others, and from what stands before it.

Pure. The past is no promise: the range is wide on purpose, and how often the truth lies in it is measured (bench/eta).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.postgres.partner_lines import Pace, PartnerLine, Waiting
    from exhaust.postgres.request_views import RequestView

# Days ahead may be so much harder or easier than those behind; several are built at once, so that the last ones of a
# request often come together.
MARGIN: Final = 3.0
SOONEST_SHARE: Final = 1 / 8
# Who else will ask before a request is submitted, and right after it, nobody knows; and its own days tell nothing yet.
STILL_TO_COME: Final = 2.5
# A join is short: copies within the store.
JOIN_WITHIN: Final = timedelta(seconds=2)
LEAST_WIDTH: Final = timedelta(seconds=1)
NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Remaining:
    """The time until a request is complete: between the two."""

    least: timedelta
    most: timedelta

    def to_json(self, now: datetime) -> dict[str, str]:
        """Return the range as times."""
        earliest, latest = now + self.least, now + max(self.most, self.least + LEAST_WIDTH)
        return {
            "earliest": earliest.isoformat(timespec="milliseconds"),
            "latest": latest.isoformat(timespec="milliseconds"),
        }


def before_submit(
    pace: Pace | None, line: PartnerLine, days: int, to_build: int, *, max_in_flight: int
) -> Remaining | None:
    """Forecast for a request that would be submitted now; None while no pace is known.

    Args:
        pace: of complete requests.
        line: of its partner, in which it would stand behind all that are not longer.
        days: that it would have.
        to_build: those of them whose archive is not there.
        max_in_flight: released and unfinished requests that a partner may have.
    """
    own = once_released(pace, days, to_build)
    before = [waiting.days for waiting in line.waiting.values() if waiting.paused is None and waiting.days <= days]
    waits = len(line.at_work) + len(before) >= max_in_flight
    found = _behind(line, pace, sum(before), own) if own and waits else own
    return found and Remaining(found.least, found.most * STILL_TO_COME)


def while_waiting(waiting: Waiting, line: PartnerLine, pace: Pace | None, days: int) -> Remaining | None:
    """Forecast for a request that waits for others of its partner; None while no pace is known.

    Args:
        waiting: its place.
        line: what of its partner is at work.
        pace: of complete requests.
        days: that the request has.
    """
    own = once_released(pace, days)
    return own and _behind(line, pace, waiting.days_before, own)


def _behind(line: PartnerLine, pace: Pace | None, days_before: int, own: Remaining) -> Remaining | None:
    """Return how long a request takes that waits for so many days, and for what of its partner is at work."""
    if pace is None:
        return None
    at_once = max(len(line.at_work), 1)
    first_to_end = min(line.at_work, default=0)
    least = pace.least * (first_to_end + days_before) / at_once
    most = pace.most * (sum(line.at_work) + days_before) / at_once
    return Remaining(least / MARGIN + own.least, most * MARGIN + own.most)


def once_released(pace: Pace | None, days: int, to_build: int | None = None) -> Remaining | None:
    """Return how long a request takes from its release on; None while no pace is known.

    Args:
        pace: of complete requests.
        days: that it has.
        to_build: those of them whose archive is not there, if that is known. The others take no longer than the days
            of the fastest requests, which found theirs.
    """
    if pace is None:
        return None
    unknown = days if to_build is None else to_build
    most = pace.most * unknown + pace.least * (days - unknown)
    return Remaining(pace.least * unknown / MARGIN, most * MARGIN + JOIN_WITHIN)


def while_building(view: RequestView, pace: Pace | None) -> Remaining | None:
    """Forecast for a released request of which days are missing; None while nothing tells its pace."""
    elapsed = view.seen_at - (view.released_at or view.created_at)
    left = len(view.days) - view.days_done
    if view.days_done:
        own = elapsed * (left / view.days_done)
        quiet = view.seen_at - view.moved_at
        return Remaining(own * SOONEST_SHARE, own * MARGIN + quiet + JOIN_WITHIN)
    expected = once_released(pace, len(view.days))
    if expected is None:
        return None
    # Of one that takes longer than expected, the time that it has taken says most.
    return Remaining(
        max(expected.least - elapsed, NOTHING), max(expected.most - elapsed, elapsed * MARGIN) + JOIN_WITHIN
    )


def while_joining(view: RequestView) -> Remaining:
    """Forecast for a request whose days are all finished."""
    quiet = view.seen_at - view.moved_at
    return Remaining(NOTHING, JOIN_WITHIN + quiet * MARGIN)
