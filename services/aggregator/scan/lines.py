"""Blocks of whole lines, cut from the inflated pieces of an object."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines of an object. Every line has its newline; only the last line of the object may have none.

    Attributes:
        offset: inflated bytes before the block.
        data: its bytes, never empty.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LongLinePart:
    """A part of a line that is longer than a line may be. Nobody reads such a line, and it is never held whole.

    Attributes:
        offset: inflated bytes before the part.
        data: its bytes, never empty.
        is_first: True for the first part of the line.
    """

    offset: int
    data: bytes
    is_first: bool


Block = LineBlock | LongLinePart


class LineCutter:
    """The cutter of one object: its pieces become blocks that hold the same bytes in the same order.

    Args:
        max_line: bytes that a line may have, its newline included.
    """

    def __init__(self, max_line: int) -> None:
        self._max = max_line
        self._partial: list[bytes] = []  # of a line whose end has not come yet
        self._partial_bytes = 0
        self._in_long_line = False
        self._offset = 0  # inflated bytes before what comes next

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Yield the blocks that are complete with this piece; perhaps none."""
        if self._in_long_line:
            end = piece.find(b"\n") + 1
            yield self._long_line_part(piece[:end] if end else piece, is_first=False)
            if not end:
                return
            self._in_long_line = False
            piece = piece[end:]
        whole = piece.rfind(b"\n") + 1
        if whole:
            lines = b"".join((*self._partial, memoryview(piece)[:whole]))
            self._partial, self._partial_bytes = [], 0
            yield from self._cut(lines)
        if whole < len(piece):
            rest = piece[whole:]
            self._partial.append(rest)
            self._partial_bytes += len(rest)
            if self._partial_bytes > self._max:
                yield self._long_line_part(b"".join(self._partial), is_first=True)
                self._partial, self._partial_bytes = [], 0
                self._in_long_line = True

    def finish(self) -> Iterator[Block]:
        """Yield the last line if it has no newline."""
        if self._partial:
            yield self._block(b"".join(self._partial))

    def _cut(self, lines: bytes) -> Iterator[Block]:
        """Cut the lines that are too long out of whole lines."""
        if len(lines) <= self._max:
            yield self._block(lines)  # this is the rule, since pieces are smaller than the usual limit
            return
        start = at = 0
        while at < len(lines):
            end = lines.find(b"\n", at) + 1
            if end - at > self._max:
                if start < at:
                    yield self._block(lines[start:at])
                yield self._long_line_part(lines[at:end], is_first=True)
                start = end
            at = end
        if start < len(lines):
            yield self._block(lines[start:])

    def _block(self, data: bytes) -> LineBlock:
        self._offset += len(data)
        return LineBlock(self._offset - len(data), data)

    def _long_line_part(self, data: bytes, *, is_first: bool) -> LongLinePart:
        self._offset += len(data)
        return LongLinePart(self._offset - len(data), data, is_first)


def lines_of(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a block that are not empty: where each starts in the block, and its bytes with the newline."""
    lines = BytesIO(block).readlines()  # ten times as fast as bytes.split, which looks at each byte by itself
    starts = accumulate(map(len, lines), initial=0)
    return ((start, line) for start, line in zip(starts, lines, strict=False) if line != b"\n")
