"""The fields of a form, as browsers send them."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from exhaust.errors import ErrorCode, ExhaustError

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 2000


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a form, in their order.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the form is not encoded as {FORM_TYPE}") from None


def repeated_field() -> ExhaustError:
    """Build the error for a field that must not be repeated."""
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, "a field of the form was sent twice")
