"""The pages of dead letters: their causes, and the letters of one cause. Bytes are not shown here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator

from exhaust.domain.dead_letters import LetterFilter, LetterPlace, LetterState, redrive_refusal
from exhaust.errors import ExhaustError
from exhaust.operations.listings import cause_row, letter_row, written
from exhaust.postgres.dead_letters import IndexedLetter, LetterCursor, count_letter_causes, list_letters
from services.console.reading import Reading
from services.console.stories.query import Query, Text, read_query, wrong

if TYPE_CHECKING:
    from multidict import MultiMapping

    from exhaust.postgres.database import Database

PAGE: Final = 100


def _cursor(text: str) -> LetterCursor:
    at, _, place = text.partition("_")
    try:
        written_at = datetime.fromisoformat(at) if at else None
        if written_at is None or written_at.tzinfo is not None:
            return LetterCursor(written_at, LetterPlace.parse(place))
    except (ValueError, ExhaustError):
        pass
    raise wrong("it must be the value that the last page gave")


def _checked(text: object) -> str:
    _cursor(str(text))
    return str(text)


def _request(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as error:
        raise wrong("it must be the id of a request") from error


class LettersQuery(Query):
    """The parameters: those of `exhaustctl dead list`."""

    code: Text | None = None
    source: Text | None = None
    object: Text | None = None
    topic: Text | None = None
    state: LetterState | None = None


class EachLetterQuery(LettersQuery):
    """The same for single letters, the request that they are about, and where the page before ended.

    Attributes:
        exact: of one cause alone: what of code, source, object and topic is not set, its letters do not say.
    """

    exact: bool = False
    request: Annotated[UUID | None, BeforeValidator(_request)] = None
    next: Annotated[str | None, BeforeValidator(_checked)] = None


async def causes_document(database: Database, query: MultiMapping[str]) -> dict[str, Any]:
    """Return the page of causes as JSON, that of the latest letter first.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    asked = read_query(query, LettersQuery)
    reading = Reading()
    found = await reading.see(count_letter_causes(database, _filter(asked), limit=PAGE + 1), "dead letters")
    return {
        "at": written(datetime.now(UTC)),
        "unseen": reading.unseen,
        "asked": {name: query.get(name, "") for name in sorted(LettersQuery.names())},
        "causes": None if found is None else [cause_row(cause) for cause in found[:PAGE]],
        "more": found is not None and len(found) > PAGE,
    }


async def letters_document(database: Database, query: MultiMapping[str]) -> dict[str, Any]:
    """Return the page of single letters as JSON, the latest first.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    asked = read_query(query, EachLetterQuery)
    reading = Reading()
    wanted = _filter(asked, asked.request)
    if asked.exact:
        wanted = replace(
            wanted,
            code=asked.code or "",
            source=asked.source or "",
            source_object=asked.object or "",
            topic=asked.topic or "",
        )
    found = await reading.see(
        list_letters(database, wanted, limit=PAGE + 1, after=_cursor(asked.next) if asked.next else None),
        "dead letters",
    )
    return {
        "at": written(datetime.now(UTC)),
        "unseen": reading.unseen,
        "asked": {name: query.get(name, "") for name in sorted(EachLetterQuery.names() - {"next"})},
        "letters": None if found is None else [_letter(indexed) for indexed in found[:PAGE]],
        "next": _next(found or []),
    }


def _filter(asked: LettersQuery, request_id: UUID | None = None) -> LetterFilter:
    return LetterFilter(asked.code, asked.source, asked.object, asked.topic, request_id, asked.state)


def _letter(indexed: IndexedLetter) -> dict[str, Any]:
    """Return a letter with what stands against redriving it, in a clause; None when nothing does."""
    same = f"letter {indexed.same_as} is of the same record" if indexed.same_as else None
    refusal = None
    if indexed.state is LetterState.WAITING:
        refusal = redrive_refusal(indexed.letter) or same
    return letter_row(indexed.letter, indexed) | {"refusal": refusal, "size": indexed.letter.size}


def _next(found: list[IndexedLetter]) -> str | None:
    if len(found) <= PAGE:
        return None
    letter = found[PAGE - 1].letter
    at = letter.written_at.astimezone(UTC).isoformat().replace("+00:00", "Z") if letter.written_at else ""
    return f"{at}_{letter.place}"
