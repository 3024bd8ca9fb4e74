"""The fields of a call that changes something: of a form, or of a JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.pages.forms import FORM_TYPE, form_pairs, repeated_field
from exhaust.http.request import JSON_TYPES, decode_body, media_type, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGETS: Final = "targets"  # the one field that a form may send several times


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields.

    Attributes:
        of_form: they were written in a page.
    """

    values: dict[str, object]
    of_form: bool

    def take(self, name: str) -> str:
        """Remove a text and return it; an empty one when it is not there."""
        value = self.values.pop(name, "")
        return value if isinstance(value, str) else ""


FIELDS: Final = web.RequestKey("fields", Fields)


async def read_fields(request: web.Request) -> Fields:
    """Read the fields of a body.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; with status 413 or 415 for a body of another size or type.
    """
    kind, body = media_type(request), await read_bytes(request)
    if kind == FORM_TYPE:
        return Fields(dict(_of_form(body)), of_form=True)
    if kind not in JSON_TYPES or not kind:  # a page elsewhere may send text without a type, and no JSON
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"send a form ({FORM_TYPE}) or application/json", status=415)
    value = decode_body(body, kind)
    if not isinstance(value, dict):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "the body is no JSON object")
    return Fields(value, of_form=False)


def _of_form(body: bytes) -> Mapping[str, object]:
    """Return the fields of a form, without those that were left empty."""
    fields: dict[str, object] = {}
    for name, text in form_pairs(body):
        if name == TARGETS:
            named = fields.setdefault(TARGETS, [])
            if isinstance(named, list):
                named += text.replace(",", " ").split()
        elif name in fields:
            raise repeated_field()
        elif text.strip():
            fields[name] = text
    return fields
