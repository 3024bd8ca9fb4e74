"""The page of one request: where it is and why, and all that happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from exhaust.domain.requests import unknown_request
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.operations.explanation import explain, explanation_document
from exhaust.postgres.request_story import find_request_story
from services.console.reading import Reading

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.database import Database


async def request_document(
    database: Database, catalogue: Catalogue, written_id: str, *, max_in_flight: int
) -> dict[str, Any]:
    """Return the page as JSON; without the database it says only that nothing could be seen.

    Args:
        database: with the console's role.
        catalogue: says who builds a dataset.
        written_id: the id of the request, as the address has it.
        max_in_flight: released and unfinished requests that a partner may have.

    Raises:
        ExhaustError: INVALID_DATA_ERROR: this is no id; INVALID_REQUESTID: there is no such request.
    """
    request_id = _parsed(written_id)
    reading = Reading()
    found = await reading.see(find_request_story(database, request_id), f"request {request_id}")
    if reading.unseen:
        return {"requestid": str(request_id), "unseen": reading.unseen, "sentence": None}
    if found is None:
        raise unknown_request()
    built_by = catalogue.find(found.dataset)
    executor = None if built_by is None or built_by.is_built_here else built_by.executor
    explained = explain(found, max_in_flight=max_in_flight, executor=executor)
    return {"unseen": []} | explanation_document(found, explained)


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        what = "the id of a request is a UUID"
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, what, violations=[("/request", what)]) from error
