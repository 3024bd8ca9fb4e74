"""The envelope of HTTP bodies, of requests and of answers (API documents, "Request data" and "Response")."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import uuid4

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError, help_address
from exhaust.violations import violations
from schemas.bodies import Body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.operations import Operation

B = TypeVar("B", bound=Body)


class Params(BaseModel):
    """The `params` of a request; answers echo its `msgid`, and nothing reads more."""

    model_config = Body.model_config

    msgid: str | None = None


class RequestEnvelope(BaseModel, Generic[B]):
    """The body of a request; an operation reads its `request` part."""

    model_config = Body.model_config

    params: Params | None = None
    request: B


def envelope_of(body: type[B]) -> TypeAdapter[RequestEnvelope[B]]:
    """Build the validator of bodies with this `request` part; that is slow, so do it once an operation.

    A body without `request` counts as one whose `request` is empty.
    """
    request = (body, Field(default_factory=dict, validate_default=True))
    return TypeAdapter(create_model("RequestEnvelope", __base__=RequestEnvelope, request=request))


def message_id(body: object) -> str:
    """Return the caller's message id, whatever the rest of the body is; empty when there is none."""
    params = body.get("params") if isinstance(body, dict) else None
    msgid = params.get("msgid") if isinstance(params, dict) else None
    return msgid if isinstance(msgid, str) else ""


def parse_request(value: object, envelope: TypeAdapter[RequestEnvelope[B]]) -> B:
    """Check a body and return its `request` part.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; the message lists every violation by its place, never a value.
    """
    try:
        return envelope.validate_python(value).request
    except ValidationError as error:
        found = [("".join(f"/{part}" for part in place), what) for place, what in violations(error)]
        message = "; ".join(f"{pointer.removeprefix('/') or 'the body'}: {what}" for pointer, what in found)
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, message, violations=found) from error


def require_text(value: str | None, code: ErrorCode, name: str) -> str:
    """Return a mandatory text of the `request` part.

    Raises:
        ExhaustError: with `code`, when the value is absent, null or blank; INVALID_DATA_ERROR when it holds a NUL or
            a character that is no character (a lone surrogate), which no store can keep.
    """
    if value is None or not value.strip():
        raise ExhaustError(code, f"request/{name} is mandatory and must not be blank")
    if not is_storable_text(value):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/{name} holds a character that is not allowed")
    return value


def success(operation: Operation, msgid: str, result: Mapping[str, object] | None = None) -> bytes:
    """Build the body of a successful answer, without `result` where the documents show none."""
    body = _answer(operation, msgid, {"status": "successful", "err": "", "errmsg": ""})
    return orjson.dumps(body if result is None else {**body, "result": result})


def failure(operation: Operation, msgid: str, error: ExhaustError) -> bytes:
    """Build the body of a failed answer: `err` is the code, `errmsg` and the page at `help` say what to do."""
    outcome = {"status": "failed", "err": error.code, "errmsg": error.message}
    return orjson.dumps(_answer(operation, msgid, outcome | _next_step(error)))


def problem(error: ExhaustError, *, with_help: bool = True) -> bytes:
    """Build the body of a failed answer as problem details (RFC 9457).

    Args:
        error: what went wrong.
        with_help: names the page of the gateway that explains the code.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if with_help:
        body |= _next_step(error)
    if error.violations:
        body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in error.violations]
    return orjson.dumps(body)


def _next_step(error: ExhaustError) -> dict[str, object]:
    return {"retryable": error.retryable, "help": help_address(error.code)}


def _answer(operation: Operation, msgid: str, outcome: Mapping[str, object]) -> dict[str, object]:
    return {
        "id": operation.id,
        "ver": operation.ver,
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "params": {"resmsgid": str(uuid4()), "msgid": msgid, **outcome},
    }
