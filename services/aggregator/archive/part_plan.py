"""The plan of a download's multipart upload: the store copies large parts by itself, the aggregator reads the others.

Every part of a multipart upload but the last needs 5 MiB, and a copied part is a range of one object. So smaller days
are read, and with them the first bytes of a larger day behind them, if they make no part by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.aggregator.archive.outer_archive import CopiedObject, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.aggregator.archive.outer_archive import Segment

MAX_COPIED_BYTES: Final = 256 * 1024 * 1024  # larger ranges are cut, so that their parts are copied at the same time


@dataclass(frozen=True, slots=True)
class ObjectRange:
    """Bytes of an object from `start` up to, not including, `end`."""

    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReadPart:
    """A part whose bytes the aggregator sends: its pieces are bytes that are made here, and ranges to be read."""

    pieces: Sequence[bytes | ObjectRange]


CopiedPart = ObjectRange
Part = ReadPart | CopiedPart


def plan_parts(segments: Sequence[Segment], *, min_part: int) -> list[Part]:
    """Return the parts of which the segments are made, in order.

    Of an object that has twice `min_part` bytes at most `min_part` are read. A read part has less than three times
    `min_part` bytes, beside those of its literals.

    Args:
        segments: see outer_segments.
        min_part: bytes that each part but the last has at least.
    """
    parts: list[Part] = []
    pieces: list[bytes | ObjectRange] = []
    size = 0
    for segment in segments:
        match segment:
            case Literal(data):
                pieces.append(data)
                size += len(data)
            case CopiedObject(key, length):
                missing = max(min_part - size, 0) if pieces else 0
                if length - missing < min_part:
                    pieces.append(ObjectRange(key, 0, length))
                    size += length
                else:
                    pieces += [ObjectRange(key, 0, missing)] if missing else []
                    parts += [ReadPart(pieces)] if pieces else []
                    parts += _cut(ObjectRange(key, missing, length), min_part)
                    pieces, size = [], 0
        if size >= min_part:
            parts.append(ReadPart(pieces))
            pieces, size = [], 0
    if pieces:
        parts.append(ReadPart(pieces))
    return parts


def _cut(whole: ObjectRange, min_part: int) -> Iterator[ObjectRange]:
    start = whole.start
    while start < whole.end:
        end = min(start + max(MAX_COPIED_BYTES, min_part), whole.end)
        if whole.end - end < min_part:
            end = whole.end
        yield ObjectRange(whole.key, start, end)
        start = end
