r"""The line prefilter finds the lines that have to be parsed, by their bytes. It never leaves out a line of an owner.

When the plain id of an owner is known, only these lines can hold one of its events:
- lines with the id's own bytes: in a JSON string every character stands for itself, unless it is escaped;
- lines with an escape that may spell a character of the id, or of a key: `\uXXXX` can spell any. The two-letter
  escapes only spell what `_SHORT_ESCAPED` lists, so any backslash counts when the id holds one of those;
- lines with the key `partner_name`, whose values are not ids but hashes of ids.
No other id has the same hash, as a resource id is 128 bits of SHA-1.

The prefilter assumes nothing of white space, nor of the order and the number of keys. It cannot find events of the
default channel, which need not name it, nor events of an owner that is only known by its hash: then it finds every
line.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING, Final

from ahocorasick_rs import BytesAhoCorasick

from services.aggregator.scan.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HASHED_KEY: Final = b"partner_name"
_ANY_ESCAPE: Final = b"\\"
_UNICODE_ESCAPE: Final = b"\\u"
_SHORT_ESCAPED: Final = frozenset('"\\/\b\f\n\r\t')  # RFC 8259, 7
# Each substring is searched for by itself, at 9 GB/s. With more of them, parsing every line costs less.
_MAX_SUBSTRINGS: Final = 10


@dataclass(frozen=True, slots=True)
class OwnerPattern:
    """The byte strings of which a line must hold one to be an event of an owner."""

    substrings: frozenset[bytes]

    @staticmethod
    def of(owner: str | None, *, default_channel: str) -> OwnerPattern | None:
        """Return the pattern of an owner; None when any line may be one of its events.

        Args:
            owner: plain id of a partner or channel; None when only its resource id is known.
            default_channel: the channel of events that name none.
        """
        if owner is None or not owner.strip() or owner == default_channel:
            return None
        escape = _UNICODE_ESCAPE if _SHORT_ESCAPED.isdisjoint(owner) else _ANY_ESCAPE
        return OwnerPattern(frozenset((owner.encode(errors="surrogatepass"), escape, _HASHED_KEY)))

    def matches(self, line: bytes) -> bool:
        """Return True when a line may be an event of the owner."""
        return any(substring in line for substring in self.substrings)


class LinePrefilter:
    """The search for lines that may be events of some owners."""

    def __init__(self, patterns: Sequence[OwnerPattern | None]) -> None:
        substrings = frozenset(substring for pattern in patterns if pattern for substring in pattern.substrings)
        self._every_line = None in patterns or len(substrings) > _MAX_SUBSTRINGS
        self._searches = [] if self._every_line else [BytesAhoCorasick([substring]) for substring in sorted(substrings)]

    def find(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that may be events of the owners, in order: where each starts in the block, and its bytes.

        Args:
            block: whole lines.
        """
        return lines_of(block) if self._every_line else self._lines_with_matches(block)

    def _lines_with_matches(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        matches = [search.find_matches_as_indexes(block) for search in self._searches]
        end = 0
        for _, hit, _ in merge(*filter(None, matches), key=lambda match: match[1]):
            if hit < end:
                continue
            start = block.rfind(b"\n", end, hit) + 1 or end
            end = block.find(b"\n", hit) + 1 or len(block)
            yield start, block[start:end]
