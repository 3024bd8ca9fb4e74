r"""Candidates: the lines that have to be parsed, found by their bytes. What it leaves out, nobody wants.

When the plain id of the wanted owner is known, only these lines can hold one of its events:
- lines with the id's own bytes: in a JSON string every character stands for itself, unless it is escaped;
- lines with an escape that may spell a character of the id, or of a key: `\uXXXX` can spell any. The two-letter
  escapes only spell what `_SHORT_ESCAPED` lists, so any backslash counts when the id holds one of those;
- lines with the key `partner_name`, whose values are not ids but hashes of ids.
That no other id has the same hash is what the hash is for: 128 bits of SHA-1.

Nothing is assumed of white space, of the order of keys or of their number. The owner of events that name no channel
cannot be found so, and neither can an owner that is only known by its hash: then every line is a candidate.
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
# So many needles are looked for one after another at 9 GB/s each; beyond them parsing every line costs less.
_MOST_NEEDLES: Final = 10


@dataclass(frozen=True, slots=True)
class Mention:
    """The byte strings of which a line must hold one, if an event in it may be an owner's."""

    needles: frozenset[bytes]

    @staticmethod
    def of(owner: str | None, *, default_channel: str) -> Mention | None:
        """The mention of an owner; None when every line may be one.

        Args:
            owner: plain id of a partner or channel; None when only its resource id is known.
            default_channel: whose the events are that name no channel.
        """
        if owner is None or not owner.strip() or owner == default_channel:
            return None
        escape = _UNICODE_ESCAPE if _SHORT_ESCAPED.isdisjoint(owner) else _ANY_ESCAPE
        return Mention(frozenset((owner.encode(errors="surrogatepass"), escape, _HASHED_KEY)))

    def __contains__(self, line: bytes) -> bool:
        """Whether the line holds a needle."""
        return any(needle in line for needle in self.needles)


class Candidates:
    """Finds the lines of a block that may be those of some owners."""

    def __init__(self, mentions: Sequence[Mention | None]) -> None:
        needles = frozenset(needle for mention in mentions if mention for needle in mention.needles)
        self._every = None in mentions or len(needles) > _MOST_NEEDLES
        self._searches = [] if self._every else [BytesAhoCorasick([needle]) for needle in sorted(needles)]

    def find(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """Where in the block each candidate starts, and the line with its newline; in order."""
        return lines_of(block) if self._every else self._around(block)

    def _around(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        found = [search.find_matches_as_indexes(block) for search in self._searches]
        end = 0
        for _, hit, _ in merge(*filter(None, found), key=lambda match: match[1]):
            if hit < end:
                continue
            start = block.rfind(b"\n", end, hit) + 1 or end
            end = block.find(b"\n", hit) + 1 or len(block)
            yield start, block[start:end]
