"""Why a request in progress stands where it stands, in one sentence for its partner. Pure.

Whatever operators wrote is theirs: no word of it stands here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.domain.text import ordinal
from exhaust.lag.sentences import shown
from exhaust.postgres.pauses import PausedKind

if TYPE_CHECKING:
    from exhaust.postgres.partner_lines import PartnerLine, Waiting
    from exhaust.postgres.request_views import RequestView

RELEASED_WITHIN: Final = timedelta(seconds=30)  # of its turn, while everything works
QUIET_AFTER: Final = timedelta(minutes=2)  # a silence is told from then on
PARKED: Final = "nobody can work on it before the operators have mended something; it goes on by itself then"
JOINING: Final = "all of its days are finished, and are being joined into one download"
ELSEWHERE: Final = "another service builds this dataset, and tells when the request is complete"
PAUSED: Final = {
    PausedKind.PARTNER: "the operators have paused your requests for now; it keeps its place and goes on by itself",
    PausedKind.DATASET: "the operators have paused this dataset for now; it keeps its place and goes on by itself",
}


def waits_because(view: RequestView, waiting: Waiting | None, line: PartnerLine, position: int, limit: int) -> str:
    """Say why a request waits in the outbox.

    Args:
        view: the request.
        waiting: its place in the line; None when it is in no line any more.
        line: its partner's requests.
        position: the place that its partner is told.
        limit: released and unfinished requests that a partner may have.
    """
    if waiting is None:
        return "its turn has come, and it is being handed to the workers"
    if waiting.paused is not None:
        return PAUSED[waiting.paused]
    at_work = len(line.at_work)
    if at_work + waiting.turn > limit and at_work:
        verb = "is" if at_work == 1 else "are"
        place = "the next one" if position == 1 else f"your {ordinal(position)} in line"
        return f"{at_work} of your requests {verb} at work, the most at a time; this is {place}"
    if view.waiting_since is not None and view.seen_at - view.waiting_since > RELEASED_WITHIN:
        return "its turn has come, but it cannot be handed to the workers now; it goes on by itself"
    return "its turn has come, and it is handed to the workers in a moment"


def builds_because(view: RequestView, no_progress_after: timedelta) -> str:
    """Say what is done for a request that was released.

    Args:
        view: the request.
        no_progress_after: when a request without progress is tried again.
    """
    if view.days_done == len(view.days):
        return JOINING
    quiet = view.seen_at - view.moved_at
    done, days = view.days_done, len(view.days)
    told = f"{done} of its {days} days {'is' if done == 1 else 'are'} finished" if done else "its days are being built"
    if quiet < QUIET_AFTER:
        return told
    again = f"after {shown(no_progress_after)} without one it is tried again"
    return f"{told}; the last sign of progress was {shown(quiet)} ago, and {again}"


def of_attempt(view: RequestView, sentence: str) -> str:
    """Add to a sentence that the request was started again, if it was."""
    if view.attempt == 1:
        return sentence
    return f"{sentence}; this is attempt {view.attempt}, because the one before did not succeed"
