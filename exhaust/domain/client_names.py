"""Names that clients register, and the keys by which two names that people take for one another are equal."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

from exhaust.errors import ErrorCode, ExhaustError

# Letters and marks that show nothing, besides control and format characters (Default_Ignorable_Code_Point), and the
# empty Braille pattern.
_INVISIBLE: Final = frozenset(
    chr(point)
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800)),
        *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF)),
    )
    for point in range(first, last + 1)
)


def check_name(name: str, field: str) -> str:
    """Return a name that may be registered, as it is: no name is stored other than it was sent.

    Args:
        name: not blank.
        field: its place in the request, for the error.

    Raises:
        ExhaustError: INVALID_DATA_ERROR when the name begins or ends with a blank, holds a character that shows
            nothing or is none, or is not in Unicode's form NFKC.
    """
    if name != name.strip():
        raise _refusal(field, "begins or ends with a blank; leave it out")
    for letter in name:
        if _is_invisible(letter):
            raise _refusal(field, f"holds U+{ord(letter):04X}, a control, format or other invisible character")
    if unicodedata.normalize("NFKC", name) != name:
        raise _refusal(field, "is not in Unicode's form NFKC: write each letter plainly, and with its accents as one")
    return name


@dataclass(frozen=True, slots=True)
class NameKeys:
    """Two digests of a client name; names that share either are easily taken for one another.

    Attributes:
        look_alike: equal for names whose letters look alike, in any case.
        case: equal for names that differ by case alone.
    """

    look_alike: bytes
    case: bytes


def name_keys(name: str) -> NameKeys:
    """Return the keys of a client name, also of one that check_name would refuse."""
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", name) if not _is_invisible(letter))
    visible = " ".join(visible.split())
    # I looks like l, yet folds to i: so once before folding and once after, and without the first look for case alone.
    return NameKeys(_digest(_skeleton(_skeleton(visible).casefold())), _digest(_skeleton(visible.casefold())))


def _skeleton(text: str) -> str:
    """Return the text with each letter's prototype in its place (UTS #39, section 4)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).translate(_prototypes()))


@cache
def _prototypes() -> dict[int, str]:
    lines = resources.files("exhaust.domain").joinpath("confusables.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(";") for line in lines if not line.startswith("#"))
    return {int(source, 16): "".join(chr(int(point, 16)) for point in target.split()) for source, target in pairs}


def _is_invisible(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category.startswith("C") or category in {"Zl", "Zp"} or letter in _INVISIBLE


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()  # a key of an index must not be long


def _refusal(field: str, what: str) -> ExhaustError:
    return ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"request/{field} {what}")
