"""Texts of a file that somebody else made, as they may be shown in a terminal."""

from typing import Final

MAX_LENGTH: Final = 200


def safe_text(text: object) -> str:
    r"""Return a text on one line, cut at MAX_LENGTH; what a terminal would obey is written as `\x1b` and the like."""
    written = str(text)
    cut = written if len(written) <= MAX_LENGTH else f"{written[:MAX_LENGTH]}…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
