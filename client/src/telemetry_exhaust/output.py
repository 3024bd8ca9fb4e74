"""Output of the command: data on stdout, everything else on stderr, a bar only on a terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDTH: Final = 30
_NARROWEST: Final = 5
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


class Output:
    """What one run of the command prints."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self._quiet = quiet
        self._bar_there = False
        self.terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not quiet
        self._colour = self.terminal and not os.environ.get("NO_COLOR")

    def say(self, sentence: str) -> None:
        """Print a sentence on stderr, also when asked to be quiet."""
        self.end_bar()
        print(f"exhaust: {_printable(sentence, sys.stderr.encoding)}", file=sys.stderr)

    def note(self, sentence: str) -> None:
        """Print on stderr something that one may do without."""
        if not self._quiet:
            self.say(sentence)

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print rows on stdout, each as soon as it is there: as NDJSON, or with tabs under a line of their names."""
        named = False
        for row in rows:
            if self.as_json:
                print(json.dumps(row, ensure_ascii=False, default=str), flush=True)
                continue
            self.end_bar()
            if not named:
                print("\t".join(row))
                named = True
            shown = "\t".join("" if value is None else safe_text(value) for value in row.values())
            print(_printable(shown, sys.stdout.encoding), flush=True)

    def text(self, text: str) -> None:
        """Print a text on stdout as it is."""
        print(text, flush=True)

    def bar(self, label: str, done: float, total: float, *, size: bool = False, more: str = "") -> None:
        """Draw a bar on the terminal, in one line of it; elsewhere nothing."""
        if not self.terminal:
            return
        share = min(1.0, done / total) if total else 0.0
        figures = f"{human_size(done)} of {human_size(total)}" if size else f"{done:.0f} of {total:.0f} days"
        behind = f" {share:4.0%} {figures}{', ' if more else ''}{safe_text(more)}"
        columns = shutil.get_terminal_size().columns - 1  # behind the last one the terminal would begin a new line
        width = max(_NARROWEST, min(_WIDTH, columns - len(label) - 1 - len(behind)))
        filled = round(share * width)
        before = f"{label} "[: max(0, columns - width)]
        behind = behind[: max(0, columns - width - len(before))]
        drawn = "━" * filled + " " * (width - filled)
        if self._colour:
            drawn = f"\x1b[36m{drawn}\x1b[0m"
        line = _printable(before + drawn + behind, sys.stderr.encoding, keep="\x1b")
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
        self._bar_there = True

    def end_bar(self) -> None:
        """Remove the bar."""
        if self._bar_there:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._bar_there = False


def human_size(size: float) -> str:
    """Return a number of bytes as people read it."""
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _printable(text: str, encoding: str | None, keep: str = "") -> str:
    """Return a text as a terminal of an encoding can show it."""
    safe = "".join(character if character.isprintable() or character in f"\t{keep}" else " " for character in text)
    return safe.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
