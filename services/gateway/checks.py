"""Checks of a call of which all are made, so that the caller learns every violation at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Checks:
    """The checks of one call, in the order in which the first that fails decides the error's code."""

    def __init__(self) -> None:
        self._failed: list[tuple[str, ExhaustError]] = []

    def add(self, place: str, check: Callable[[], T]) -> Callable[[], T]:
        """Make a check, and return what gives its value once `require` has returned.

        Args:
            place: what is checked: of the body as a JSON pointer, of the query as `?` and the name, of the path as
                the name in braces.
            check: returns the value, or raises an ExhaustError.
        """
        try:
            value = check()
        except ExhaustError as error:
            self._failed.append((place, error))
            return check
        return lambda: value

    def require(self) -> None:
        """Return when no check failed.

        Raises:
            ExhaustError: with the code and status of the first check that failed, and every violation.
        """
        if not self._failed:
            return
        first = self._failed[0][1]
        found = [
            violation for place, error in self._failed for violation in error.violations or ((place, error.message),)
        ]
        message = "; ".join(error.message for _, error in self._failed)
        raise ExhaustError(first.code, message, status=first.status, violations=found)
