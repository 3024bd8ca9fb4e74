"""What the clients of one stack did and saw. The checker believes this and the servers, and nothing of the services."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMPLETE, FAILED, CANCELLED = "complete", "failed", "cancelled"
# Not yet answered, answered with a receipt, or with the conflict of a request that had ended before.
Cancel = Literal["", "asked", "told", "ended"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a submit asks for.

    Attributes:
        resource: the hash of the partner, in the path.
        expected: the end that the request must come to, which the oracle knows beforehand.
    """

    dataset: str
    partner: str
    resource: str
    first: str
    last: str
    tags: tuple[str, ...] = ()
    expected: str = COMPLETE

    def identity(self) -> tuple[str, str, str, str, str, tuple[str, ...]]:
        """What a row must say of it."""
        return self.dataset, self.partner, self.resource, self.first, self.last, tuple(sorted(self.tags))

    def days(self) -> list[str]:
        first, last = date.fromisoformat(self.first), date.fromisoformat(self.last)
        return [(first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)]


@dataclass(slots=True)
class Submit:
    """One submit, which a client may have sent several times with its key.

    Attributes:
        username: of this submit alone, so that a row can be held against it.
        key: the Idempotency-Key; None for a submit that is sent once.
        client: the name of the client.
        request_id: as accepted; None when no answer said so.
        unanswered: how often the outcome stayed unknown.
        refused: status and code of an answer that was final.
        cancel_after: seconds from acceptance until the client cancels it; None for one that stays.
        cancel: what became of that, "" before.
        retried: how often an operator had it tried again.
        seen: by time, each status result that a client was told of the latest attempt.
    """

    asked: Asked
    username: str
    key: str | None
    client: str
    request_id: str | None = None
    unanswered: int = 0
    refused: tuple[int, str] | None = None
    cancel_after: float | None = None
    cancel: Cancel = ""
    retried: int = 0
    seen: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def saw(self, result: Mapping[str, Any]) -> None:
        self.seen.append((time.monotonic(), dict(result)))

    @property
    def has_failing_days(self) -> bool:
        """True when days of it may have become dead letters."""
        return self.asked.expected == FAILED

    @property
    def has_ended(self) -> bool:
        return bool(self.seen) and self.seen[-1][1].get("status") in {COMPLETE, FAILED}


@dataclass(slots=True)
class History:
    """All that clients did since the stack was new.

    Attributes:
        planted: marks of the poisoned records that must become dead letters.
        secrets: what must be found nowhere, by name.
        updated: requests about which an external job has reported.
        answers: how often each HTTP status came; 0 is no answer.
    """

    submits: list[Submit] = field(default_factory=list)
    planted: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    updated: set[str] = field(default_factory=set)
    answers: dict[int, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new(self, asked: Asked, client: str, *, keyed: bool) -> Submit:
        number = next(self._numbers)
        submit = Submit(asked, f"user-{number}", f"chaos-key-{number}" if keyed else None, client)
        self.submits.append(submit)
        return submit

    def answered(self, status: int) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1

    def accepted(self) -> dict[str, list[Submit]]:
        """The submits by the request that they were told."""
        found: dict[str, list[Submit]] = {}
        for submit in self.submits:
            if submit.request_id is not None:
                found.setdefault(submit.request_id, []).append(submit)
        return found


def ends_of(submits: list[Submit]) -> set[str]:
    """Return the states in which a request may stand when things are quiet, by all submits that were told of it.

    Equal submits of one client share a request that has not ended, and so its cancellation.
    """
    cancels = {submit.cancel for submit in submits}
    if any(submit.retried for submit in submits):
        # What is tried again was repaired before; an equal submit that joins it may be cancelled, and it with that.
        others = {submit.cancel for submit in submits if not submit.retried}
        return {COMPLETE, CANCELLED} if others & {"told", "asked"} else {COMPLETE}
    if "told" in cancels:
        return {CANCELLED}
    expected = submits[0].asked.expected
    return {expected, CANCELLED} if "asked" in cancels else {expected}
