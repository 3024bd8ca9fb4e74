"""The query parameters of the pages. A parameter that is sent empty, as forms do, is not set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from exhaust.domain.durations import parse_duration
from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.violations import violations

if TYPE_CHECKING:
    from multidict import MultiMapping


class Query(BaseModel):
    """The parameters of a page; each has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the parameters."""
        return frozenset(cls.model_fields)


_Query = TypeVar("_Query", bound=Query)


def read_query(query: MultiMapping[str], kind: type[_Query]) -> _Query:
    """Return the parameters of a call, whose names were checked before.

    Args:
        query: of the call.
        kind: the page's.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; it names each wrong parameter.
    """
    given = {name: value for name, value in query.items() if value}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        wrong = [("/".join(map(str, place)), what) for place, what in violations(error)]
        message = "; ".join(f"{name}: {what}" for name, what in wrong)
        pointers = [(f"?{name}", what) for name, what in wrong]
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, message, violations=pointers) from error


def _storable(text: str) -> str:
    if not is_storable_text(text):
        raise wrong("it holds characters that are not stored anywhere")
    return text


def _duration(text: object) -> timedelta:
    try:
        return parse_duration(str(text))
    except ValueError as error:
        raise wrong("write a duration as 90s, 30m, 12h or 7d") from error


def _moment(text: object) -> datetime:
    """Return a time: one that is written in full, or so long ago."""
    try:
        return datetime.now(UTC) - parse_duration(str(text))
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(str(text))
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong("write a time as 2026-11-30T03:00 (UTC), or how long ago it was, as 12h or 7d") from error


def wrong(what: str) -> PydanticCustomError:
    """Return the error of a parameter with a wrong value, for a validator to raise."""
    return PydanticCustomError("parameter", "{what}", {"what": what})


Text = Annotated[str, StringConstraints(max_length=1024), BeforeValidator(_storable)]
Ago = Annotated[timedelta, BeforeValidator(_duration)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
