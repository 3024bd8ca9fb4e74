"""Validation errors of pydantic as text: it names the places and never a value, which may be a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_settings import SettingsError

# Of a setting that is JSON: pydantic-settings says so in its message alone.
_FIELD: Final = re.compile(r'for field "(\w+)"')


def violations(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Return each violation: its place, from the outside in, and what is wrong there."""
    return [
        (found["loc"], found["msg"].partition(" or instance of ")[0])  # what follows is the name of a class of ours
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def violations_text(error: ValidationError) -> str:
    """Join all violations into one line: `day/events: what is wrong; …`."""
    return "; ".join(f"{'/'.join(map(str, place))}: {what}" for place, what in violations(error))


def settings_errors(error: ValidationError | SettingsError) -> Iterator[str]:
    """Yield a sentence for each setting that is missing or wrong."""
    if not isinstance(error, ValidationError):
        field = _FIELD.search(str(error))
        yield f"{_variable(field[1]) if field else 'a setting'}: this is no JSON; set it in the environment"
        return
    for place, what in violations(error):
        if not place:  # of several settings together; the message names them
            yield what
        else:
            within = f" (at {'/'.join(map(str, place[1:]))})" if place[1:] else ""
            yield f"{_variable(str(place[0]))}{within}: {what}; set it in the environment"


def _variable(field: str) -> str:
    # A setting with a former name is placed by its variable.
    return field if field.startswith("EXHAUST_") else f"EXHAUST_{field.upper()}"
