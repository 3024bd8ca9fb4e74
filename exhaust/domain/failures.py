"""The failures of requests, as partners are told of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from exhaust.errors import FAILURE_SENTENCES, ErrorCode, error_document


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """The reason why a request failed: a code of ours, and the day that it concerns.

    Whoever reports a failure has words of its own for it. They are for operators; partners read our sentence.
    """

    code: ErrorCode
    day: date | None = None

    @staticmethod
    def of(outcome: object) -> RequestFailure:
        """Return the failure in a stored or reported outcome; a code that we have no sentence for is INTERNAL_ERROR."""
        told = outcome if isinstance(outcome, dict) else {}
        code = next((code for code in FAILURE_SENTENCES if code == told.get("code")), ErrorCode.INTERNAL_ERROR)
        try:
            return RequestFailure(code, date.fromisoformat(told["day"]))
        except (KeyError, TypeError, ValueError):
            return RequestFailure(code)

    @property
    def message(self) -> str:
        """Our sentence for the code."""
        return FAILURE_SENTENCES[self.code]

    @property
    def order(self) -> tuple[int, int]:
        """The order of failures of one attempt; the greatest is shown.

        That is the failure of the earliest day, and of one day that whose code stands first in FAILURE_SENTENCES.
        """
        return -(self.day or date.max).toordinal(), -list(FAILURE_SENTENCES).index(self.code)

    def to_json(self) -> dict[str, object]:
        """Return what partners are told."""
        told = error_document(self.code, self.message)
        return told if self.day is None else told | {"day": self.day.isoformat()}
