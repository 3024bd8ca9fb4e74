"""The rows of lists as JSON: requests, dead letters and their causes, days, the audit.

Page and command show the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from exhaust.postgres.day_overview import BuiltDay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from exhaust.domain.dead_letters import Letter, LetterCause
    from exhaust.operations.received_days import ReceivedDay
    from exhaust.postgres.audit import AuditEntry
    from exhaust.postgres.dead_letters import IndexedLetter
    from exhaust.postgres.request_lists import ListedRequest

Document = dict[str, Any]
Place = tuple[str, "date"]  # a dataset's own id, and a day
_NOTHING_BUILT: Final = BuiltDay(0, 0, 0, 0, ())


def request_row(listed: ListedRequest) -> Document:
    """Return a request in a list. Its state is `waits` while it is in the outbox, and `parked` while it is that."""
    state = str(listed.state)
    if listed.parked_at is not None:
        state = "parked"
    elif listed.waits and not listed.state.is_terminal:
        state = "waits"
    return {
        "request": str(listed.request_id),
        "partner": listed.partner_id,
        "dataset": listed.dataset,
        "from": listed.days.first.isoformat(),
        "to": listed.days.last.isoformat(),
        "state": state,
        "attempt": listed.attempt,
        "daysdone": f"{listed.days_done}/{len(listed.days)}",
        "submitted": written(listed.created_at),
        "code": listed.code,
        "object": listed.object,
    }


def cause_row(cause: LetterCause) -> Document:
    """Return a cause of dead letters."""
    return {
        "code": cause.code,
        "topic": cause.topic,
        "source": cause.source,
        "object": cause.object,
        "letters": cause.letters,
        "waiting": cause.waiting,
        "first": written(cause.first),
        "latest": written(cause.latest),
    }


def letter_row(letter: Letter, indexed: IndexedLetter | None) -> Document:
    """Return a dead letter without its bytes.

    Args:
        letter: as it lies on its topic.
        indexed: the same in the index; None where that cannot be seen, so that what became of it is not known.
    """
    return {
        "letter": str(letter.place),
        "at": written(letter.written_at),
        "state": str(indexed.state) if indexed else None,
        "moved": written(indexed.moved_at) if indexed else None,
        "replays": letter.replays,
        "code": letter.code,
        "topic": letter.topic,
        "partition": letter.record_partition,
        "offset": letter.record_offset,
        "source": letter.source,
        "request": str(letter.request_id) if letter.request_id else None,
        "pointer": letter.pointer,
        "error": letter.error,
    }


def audit_row(entry: AuditEntry) -> Document:
    """Return an entry of the audit."""
    return {
        "number": entry.number,
        "at": written(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
        "databaseuser": entry.database_user,
    }


def day_rows(built: Mapping[Place, BuiltDay] | None, received: Mapping[Place, ReceivedDay] | None) -> list[Document]:
    """Return what is known of days, by dataset and day. Days of which nothing is known are left out.

    Args:
        built: what became of days; None when that was not seen.
        received: the raw objects of days; a day that is not there was not seen, and with None none was.
    """
    places = {*(built or {}), *(place for place, found in (received or {}).items() if found.objects)}
    return [_day_row(place, built, received) for place in sorted(places)]


def _day_row(
    place: Place, built: Mapping[Place, BuiltDay] | None, received: Mapping[Place, ReceivedDay] | None
) -> Document:
    raw = None if received is None else received.get(place)
    done = None if built is None else built.get(place, _NOTHING_BUILT)
    return {
        "dataset": place[0],
        "day": place[1].isoformat(),
        "objects": raw.objects if raw else None,
        "bytes": raw.bytes if raw else None,
        "resources": done.resources if done else None,
        "finished": done.finished if done else None,
        "open": done.open if done else None,
        "failed": done.failed if done else None,
        "unreadableobjects": ", ".join(done.objects) or None if done else None,
    }


def written(moment: datetime | None) -> str | None:
    """Return a time as page and command write it in JSON."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
