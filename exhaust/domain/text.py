"""Texts that callers write."""

from __future__ import annotations


def is_storable_text(text: str) -> bool:
    """Return True when PostgreSQL can hold a text, which rules out NUL and lone surrogates."""
    return "\x00" not in text and text.encode(errors="replace").decode() == text
