"""The rules of alerts as they are, for a time that runs faster, so that a rehearsal takes minutes and not hours."""

from __future__ import annotations

import re
from typing import Final

FASTER: Final = 30
LEAST_S: Final = 4  # a rate wants some scrapes, of which there is one a second
_UNITS: Final = {"m": 60, "h": 3600}
_RANGE: Final = re.compile(r"\[(\d+)([mh])\]")
_FOR: Final = re.compile(r"^( +for: )(\d+)([mh])$", re.MULTILINE)
# The ages that rules compare with. That of dead letters is days, and a rehearsal makes an old one instead.
_AGE: Final = re.compile(r"(?<=[<>] )(60|300|900|1800|3600)\b")


def hurry(rules: str, faster: int = FASTER) -> str:
    """Return rules whose ranges, waits and ages are a part of what they are: a thirtieth, unless said otherwise."""

    def seconds(number: str, unit: str) -> int:
        return max(int(number) * _UNITS[unit] // faster, LEAST_S)

    rules = _RANGE.sub(lambda found: f"[{seconds(found[1], found[2])}s]", rules)
    rules = _FOR.sub(lambda found: f"{found[1]}{seconds(found[2], found[3])}s", rules)
    return _AGE.sub(lambda found: str(int(found[1]) // faster), rules)
