"""Errors of this package: each message is a sentence with what to do, each class has the exit code of the command."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
TIMED_OUT: Final = 3
NO_ACCESS: Final = 4
REQUEST_FAILED: Final = 5
DAYS_MISSING: Final = 6
STILL_RUNNING: Final = 8
INTERRUPTED: Final = 130


class ExhaustError(Exception):
    """Anything that this package refuses or could not do.

    Attributes:
        exit_code: of the command.
        code: the code of the API, such as LOGIN_FAILED; "" when the error did not come from there.
        help_page: the address of a page about the code; "" when the gateway has none.
        retryable: True when the same call may succeed later, False when it will not; None when nobody knows.
    """

    exit_code: int = FAILED

    def __init__(self, message: str, *, code: str = "", help_page: str = "", retryable: bool | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.help_page = help_page
        self.retryable = retryable

    def told(self) -> str:
        """Return the sentence with what is known beside it: is another try worth it, and where to read on."""
        later = ["the same call may succeed later"] if self.retryable else []
        more = "; ".join([*later, *([self.help_page] if self.help_page else [])])
        return f"{self} ({more})" if more else str(self)


class UsageError(ExhaustError):
    """An argument or a setting that cannot be used."""

    exit_code = USAGE


class UnknownOperationError(UsageError):
    """An operation that this gateway has not."""


class DownloadError(ExhaustError):
    """A file that is no download."""

    exit_code = USAGE


class TimedOutError(ExhaustError):
    """A deadline has passed, or the request was cancelled."""

    exit_code = TIMED_OUT


class AccessError(ExhaustError):
    """A license key or a grant that the gateway does not take."""

    exit_code = NO_ACCESS


class RequestFailedError(ExhaustError):
    """A request that the platform could not fulfil."""

    exit_code = REQUEST_FAILED


class DaysMissingError(ExhaustError):
    """Some of the days that were asked for could not be had; the others are there."""

    exit_code = DAYS_MISSING


class StillRunningError(ExhaustError):
    """A request that is still in progress."""

    exit_code = STILL_RUNNING


class LinkExpiredError(ExhaustError):
    """A signed link that the store does not take any more; the status of the request has a new one."""
