"""Texts: those that callers write, and words of ours."""

from __future__ import annotations

from typing import Final

_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = range(11, 14)


def is_storable_text(text: str) -> bool:
    """Return True when PostgreSQL can hold a text, which rules out NUL and lone surrogates."""
    return "\x00" not in text and text.encode(errors="replace").decode() == text


def ordinal(number: int) -> str:
    """Return a place as people say it: 1st, 2nd, 13th."""
    ending = "th" if number % 100 in _TEENS else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"
