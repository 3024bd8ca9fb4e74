"""The one error taxonomy: it feeds HTTP answers, events and logs alike."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ErrorCode(StrEnum):
    """The error codes that leave the system. The API documents the first block, the rest is ours."""

    INVALID_DATA_ERROR = "INVALID_DATA_ERROR"
    INVALID_DATE = "INVALID_DATE"
    DATE_RANGE_TOO_LARGE = "DATE_RANGE_TOO_LARGE"
    MISSING_PARTNERID = "MISSING_PARTNERID"
    MISSING_USERNAME = "MISSING_USERNAME"
    LOGIN_FAILED = "LOGIN_FAILED"
    AUTHORIZATION_FAILED = "AUTHORIZATION_FAILED"
    INVALID_REQUESTID = "INVALID_REQUESTID"
    INTERNAL_ERROR = "INTERNAL_ERROR"

    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    RATE_LIMITED = "RATE_LIMITED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    SOURCE_OBJECT_UNREADABLE = "SOURCE_OBJECT_UNREADABLE"
    SOURCE_OBJECT_CHANGED = "SOURCE_OBJECT_CHANGED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    NO_PROGRESS = "NO_PROGRESS"
    CANCELLED = "CANCELLED"
    NOT_COMPLETE = "NOT_COMPLETE"
    REQUEST_FAILED = "REQUEST_FAILED"
    EXPIRED = "EXPIRED"


HTTP_STATUS: Final = {
    ErrorCode.INVALID_DATA_ERROR: 400,
    ErrorCode.INVALID_DATE: 400,
    ErrorCode.DATE_RANGE_TOO_LARGE: 400,
    ErrorCode.MISSING_PARTNERID: 400,
    ErrorCode.MISSING_USERNAME: 400,
    ErrorCode.LOGIN_FAILED: 401,
    ErrorCode.AUTHORIZATION_FAILED: 403,
    ErrorCode.INVALID_REQUESTID: 404,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.NOT_COMPLETE: 409,
    ErrorCode.REQUEST_FAILED: 409,
    ErrorCode.EXPIRED: 410,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
}
# What a partner reads of a request that failed, by code; the most telling code first. Whoever reports a failure may say
# more, to operators.
FAILURE_SENTENCES: Final = {
    ErrorCode.SOURCE_OBJECT_UNREADABLE: (
        "raw telemetry of a requested day is damaged; ask the operators to repair it, then submit the request again"
    ),
    ErrorCode.LIMIT_EXCEEDED: "raw telemetry of a requested day is larger than may be exported; ask the operators",
    ErrorCode.SOURCE_OBJECT_CHANGED: (
        "raw telemetry of a requested day changed while it was read; submit the request again later"
    ),
    ErrorCode.SERVICE_UNAVAILABLE: "a service that is needed did not answer for long; submit the request again later",
    ErrorCode.NO_PROGRESS: "the request made no progress and was given up; submit it again, or ask the operators",
    ErrorCode.INTERNAL_ERROR: (
        "the request failed by a fault of ours; submit it again, and ask the operators if it fails again"
    ),
}
# What a partner reads of a request that was cancelled. It is no failure that anybody may report.
CANCELLED_SENTENCE: Final = "the request was cancelled; submit it again if it is wanted after all"
RETRYABLE: Final = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.SERVICE_UNAVAILABLE,
        ErrorCode.SOURCE_OBJECT_CHANGED,
        ErrorCode.NOT_COMPLETE,
        ErrorCode.NO_PROGRESS,
    }
)
HELP_PATH: Final = "/help"  # a page of the gateway that explains each code


class Dependency(StrEnum):
    """The servers that our processes depend on, as errors name them."""

    KAFKA = "Kafka"
    POSTGRES = "the database"
    S3 = "S3"


class ExhaustError(Exception):
    """An expected failure that knows its code.

    Args:
        code: what happened, in the words of the API.
        message: what is wrong, where, and what to do; safe to show to the caller, never holds a secret.
        status: HTTP status where it is not the code's usual one (413 and 415 share INVALID_DATA_ERROR).
        violations: each wrong place, with what is wrong there: of the body as a JSON pointer (RFC 6901), of the query
            as `?` and the name.
        headers: what HTTP wants beside that status (RFC 9110), such as Content-Range with 416.
        dependency: the server that did not answer, if that is what happened.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        status: int | None = None,
        violations: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        dependency: Dependency | None = None,
    ) -> None:
        super().__init__(message)
        self.dependency = dependency
        self.headers = dict(headers or {})
        self.violations = tuple(violations)
        self.code = code
        self.message = message
        self.status = status if status is not None else HTTP_STATUS.get(code, 500)

    @property
    def retryable(self) -> bool:
        """True when the same call may succeed later without anybody changing anything."""
        return self.code in RETRYABLE


def help_address(code: ErrorCode) -> str:
    """Return where the gateway says what a code means, why it happens and what to do: relative to its own address."""
    return f"{HELP_PATH}#{code}"


def error_document(code: ErrorCode, message: str) -> dict[str, object]:
    """Return what a partner is told of a request that failed or was cancelled."""
    return {"code": str(code), "message": message, "retryable": code in RETRYABLE, "help": help_address(code)}


class ConfigurationError(Exception):
    """A configuration file or address that cannot be used. The message says what is wrong, where, and what to do."""


class SourceObjectError(ExhaustError):
    """A raw object that cannot be exported. The day fails and the error names the object."""

    def __init__(self, code: ErrorCode, source_object: str, message: str) -> None:
        super().__init__(code, f"{source_object}: {message}")
        self.source_object = source_object
        self._what = message

    def __reduce__(self) -> tuple[type[SourceObjectError], tuple[ErrorCode, str, str]]:
        return type(self), (self.code, self.source_object, self._what)  # it crosses process boundaries


def unavailable(what: str | Dependency) -> ExhaustError:
    """Return the error for somebody who does not answer now."""
    return ExhaustError(
        ErrorCode.SERVICE_UNAVAILABLE,
        f"{what} does not answer; try again in a few seconds",
        dependency=what if isinstance(what, Dependency) else None,
    )


def token_refused() -> ExhaustError:
    """Return the one error for bad tokens and for good ones that are bound to nobody: the caller learns no more."""
    return ExhaustError(ErrorCode.LOGIN_FAILED, "the token is not accepted; get a new one from your issuer")
