"""Where a request is and why, in one sentence; and what happened to it so far. Pure: page and command show the same.

Names that partners have given stand in the sentences as they are. Whoever shows them makes them harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exhaust.domain.state_machine import State
from exhaust.domain.text import ordinal
from exhaust.lag.sentences import shown
from exhaust.operations.listings import audit_row
from exhaust.postgres.audit import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from exhaust.postgres.request_story import RequestStory

RELEASED_WITHIN: Final = timedelta(seconds=30)  # of its turn, when a gateway works
# Archives and failures have these; whatever else stands in the row is not shown.
_TOLD_OF_OUTCOME: Final = ("code", "message", "day", "object", "key", "size", "sha256", "events", "bytes")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Where a request is and why, and what to do about it; `do` is empty when there is nothing to do."""

    what: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a request.

    Attributes:
        attempt: in which it happened; None where that is not known.
    """

    at: datetime
    what: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class DayCell:
    """A day of a request.

    Attributes:
        state: finished, empty (finished, without events), finished earlier (in an attempt before, so that it is found
            again), failed, or open.
        attempt: that finished it last.
        code: of a failed one, why.
    """

    day: date
    state: str
    attempt: int | None = None
    events: int | None = None
    bytes: int | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a request: how it began, how many of its days it finished, and how it ended."""

    number: int
    began: str
    days_done: int
    ended: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that is said of a request."""

    sentence: Sentence
    timeline: tuple[Happening, ...]
    days: tuple[DayCell, ...]
    attempts: tuple[Attempt, ...]


def explain(story: RequestStory, *, max_in_flight: int, executor: str | None = None) -> Explanation:
    """Explain a request.

    Args:
        story: everything that is known of it.
        max_in_flight: released and unfinished requests that a partner may have.
        executor: who builds its dataset, if that is somebody else.
    """
    return Explanation(_sentence(story, max_in_flight, executor), _timeline(story), _days(story), _attempts(story))


def _sentence(story: RequestStory, max_in_flight: int, executor: str | None) -> Sentence:
    if story.state.is_terminal:
        return _ENDS[story.state](story)
    if story.parked_at is not None:
        return Sentence(
            f"is parked for {_ago(story, story.parked_at)}, because nobody could handle it: {story.parked_reason}",
            f"mend the row, then: exhaustctl parked release {story.request_id}",
        )
    if story.waiting_since is not None:
        return _waits(story, story.waiting_since, max_in_flight)
    return _at_work(story, executor)


def _at_work(story: RequestStory, executor: str | None) -> Sentence:
    if executor is not None:
        return Sentence(
            f"was released, and is in the hands of {executor}, which last told of it {_ago(story, story.moved_at)} ago",
            f"ask who runs {executor}",
        )
    if story.state is State.SUBMITTED:
        return Sentence(
            f"was released {_ago(story, story.moved_at)} ago, and waits on dataset.requests to be split into days",
            "see whether aggregators work: exhaustctl now",
        )
    done, every = _done(story), len(story.asked)
    if done == every:
        return Sentence(
            f"is at work in attempt {story.attempt}: all {every} days are finished, and its download is being written;"
            f" the last sign of progress was {_ago(story, story.moved_at)} ago"
        )
    return Sentence(
        f"is at work in attempt {story.attempt}: {done} of {every} days are finished,"
        f" the last sign of progress was {_ago(story, story.moved_at)} ago",
        "see who has its days in hand: exhaustctl workers",
    )


def _waits(story: RequestStory, since: datetime, max_in_flight: int) -> Sentence:
    if story.claimed_until is not None:
        return Sentence("is on its way from the outbox to Kafka: a gateway publishes it at this moment")
    if story.pauses:
        pause = story.pauses[0]
        flag = "partner" if pause.target.kind == "partner" else "dataset"
        return Sentence(
            f"waits in the outbox: {pause.target.kind} {pause.target.shown} is paused by {pause.actor}"
            f" for {_ago(story, pause.since)}: {pause.reason}",
            f"when the reason is gone: exhaustctl resume --{flag} {pause.target.shown} --reason …",
        )
    turn, at_work = story.turn or 1, len(story.at_work)
    if at_work + turn > max_in_flight and story.at_work:
        return Sentence(
            f"waits in the outbox: {story.partner_id} has {at_work} at work and this is its {ordinal(turn)};"
            f" next when {_short(story.at_work[0].request_id)} ends"
        )
    if story.seen_at - since < RELEASED_WITHIN:
        return Sentence("waits in the outbox for its release, which is due at any moment")
    return Sentence(
        f"waits in the outbox for {_ago(story, since)}, although its release is due",
        "see whether a gateway works and reaches Kafka: exhaustctl flow --stage outbox",
    )


def _complete(story: RequestStory) -> Sentence:
    looks = sum(act.action in {Action.DOWNLOAD, Action.DOWNLOAD_LINK} for act in story.acts)
    events, size = story.outcome.get("events"), story.outcome.get("size")
    return Sentence(
        f"is complete for {_ended(story)}: {events if events is not None else 'an unknown number of'} events"
        f" in {size if size is not None else 'an unknown number of'} bytes;"
        f" its download was asked for {looks} time{'' if looks == 1 else 's'}"
    )


def _failed(story: RequestStory) -> Sentence:
    told = story.outcome
    about = "".join(f", {name} {told[name]}" for name in ("day", "object") if told.get(name))
    return Sentence(
        f"failed {_ended(story)} ago in attempt {story.attempt} with {told.get('code', 'no code')}{about}:"
        f" {told.get('message', 'no reason was told')}; {_done(story)} of {len(story.asked)} days are finished",
        f"when the cause is mended: exhaustctl retry {story.request_id} --reason …",
    )


def _cancelled(story: RequestStory) -> Sentence:
    acts = [act for act in story.acts if act.action == Action.CANCEL]
    who = f" by {acts[-1].actor}" if acts else ""
    why = f": {acts[-1].detail['reason']}" if acts and acts[-1].detail.get("reason") else ""
    return Sentence(f"was cancelled{who} {_ended(story)} ago in attempt {story.attempt}{why}")


_ENDS: Final[Mapping[State, Callable[[RequestStory], Sentence]]] = {
    State.COMPLETE: _complete,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
}


def _timeline(story: RequestStory) -> tuple[Happening, ...]:
    found = [
        Happening(act.at, _told(act.action, act.actor, act.detail), act.detail.get("attempt")) for act in story.acts
    ]
    if not any(act.action == Action.SUBMIT for act in story.acts):
        found.append(Happening(story.created_at, "submit", 1))
    steps = (
        (story.released_at, "released"),
        (story.planned_at, "split into days"),
        (story.first_day_at, "the first day is finished"),
        (story.last_day_at, "all days are finished"),
    )
    found += [Happening(at, what, story.attempt) for at, what in steps if at is not None]
    if story.waiting_since is not None:
        found.append(Happening(story.waiting_since, "waits in the outbox", story.attempt))
    elif not story.state.is_terminal:
        found.append(Happening(story.moved_at, "last sign of progress", story.attempt))
    if story.parked_at is not None:
        found.append(Happening(story.parked_at, f"parked: {story.parked_reason}", story.attempt))
    found += [
        Happening(letter.written_at, f"dead letter {letter.letter}: {letter.code}, {letter.state}")
        for letter in story.letters
        if letter.written_at is not None
    ]
    if story.ended_at is not None:
        found.append(Happening(story.ended_at, str(story.state), story.attempt))
    return tuple(sorted(found, key=lambda happening: happening.at))


def _days(story: RequestStory) -> tuple[DayCell, ...]:
    latest = {found.day: found for found in story.days}  # of several attempts the last stands behind
    failed_day = str(story.outcome.get("day")) if story.state is State.FAILED else ""
    cells = []
    for day in story.asked:
        found = latest.get(day)
        if found is None and day.isoformat() == failed_day:
            cells.append(DayCell(day, "failed", code=story.outcome.get("code")))
        elif found is None:
            cells.append(DayCell(day, "open"))
        else:
            finished = "finished" if found.events else "empty"
            state = finished if found.attempt == story.attempt else "finished earlier"
            cells.append(DayCell(day, state, found.attempt, found.events, found.bytes))
    return tuple(cells)


def _attempts(story: RequestStory) -> tuple[Attempt, ...]:
    began = {act.detail.get("attempt"): f"retry by {act.actor}" for act in story.acts if act.action == Action.RETRY}
    ended = {
        act.detail.get("attempt"): f"cancelled by {act.actor}" for act in story.acts if act.action == Action.CANCEL
    }
    attempts = []
    for number in range(1, story.attempt + 1):
        last = number == story.attempt
        attempts.append(
            Attempt(
                number,
                "submit" if number == 1 else began.get(number, "no progress in the attempt before"),
                sum(found.attempt == number for found in story.days),
                str(story.state) if last else ended.get(number, "ended before the next began"),
            )
        )
    return tuple(attempts)


def _told(action: str, actor: str, detail: Mapping[str, Any]) -> str:
    reason = detail.get("reason")
    return f"{action} by {actor}" + (f": {reason}" if reason else "")


def _done(story: RequestStory) -> int:
    return sum(found.attempt == story.attempt for found in story.days)


def _ago(story: RequestStory, since: datetime) -> str:
    return shown(max(story.seen_at - since, timedelta(0)))


def _ended(story: RequestStory) -> str:
    return _ago(story, story.ended_at or story.moved_at)


def _short(request_id: object) -> str:
    return f"{str(request_id)[:4]}…"


def explanation_document(story: RequestStory, explained: Explanation) -> dict[str, Any]:
    """Return what page and command give as JSON."""
    return {
        "requestid": str(story.request_id),
        "sentence": explained.sentence.what,
        "do": explained.sentence.do,
        "at": story.seen_at.isoformat(),
        "partner": story.partner_id,
        "dataset": story.dataset,
        "resource": story.resource,
        "fromdate": story.asked.first.isoformat(),
        "todate": story.asked.last.isoformat(),
        "tags": list(story.tags),
        "state": story.state.value,
        "attempt": story.attempt,
        "outcome": {name: story.outcome[name] for name in _TOLD_OF_OUTCOME if name in story.outcome},
        "atwork": [str(found.request_id) for found in story.at_work],
        "turn": story.turn,
        "timeline": [
            {"at": found.at.isoformat(), "what": found.what, "attempt": found.attempt} for found in explained.timeline
        ],
        "attempts": [
            {"attempt": found.number, "began": found.began, "daysdone": found.days_done, "ended": found.ended}
            for found in explained.attempts
        ],
        "days": [
            {
                "day": cell.day.isoformat(),
                "state": cell.state,
                "attempt": cell.attempt,
                "events": cell.events,
                "bytes": cell.bytes,
                "code": cell.code,
            }
            for cell in explained.days
        ],
        "deadletters": [{"letter": found.letter, "code": found.code, "state": found.state} for found in story.letters],
        "audit": [audit_row(act) for act in story.acts],
    }
