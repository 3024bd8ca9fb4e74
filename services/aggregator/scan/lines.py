"""Blocks of whole lines, cut from the inflated pieces of an object."""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, SourceObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator


class LineBlocks:
    """The blocks of one object. Every line in them has its newline; only the last line of the object may have none.

    Args:
        name: the object's key, for errors.
        max_line: bytes that a line may have, its newline included.
    """

    def __init__(self, name: str, max_line: int) -> None:
        self._name = name
        self._max = max_line
        self._partial: list[bytes] = []  # of a line whose end has not come yet
        self._partial_bytes = 0
        self._offset = 0

    def feed(self, piece: bytes) -> bytes:
        """Return the lines that are complete with this piece; perhaps none.

        Raises:
            SourceObjectError: LIMIT_EXCEEDED for a line that is too long.
        """
        whole = piece.rfind(b"\n") + 1
        block = b""
        if whole:
            block = b"".join((*self._partial, memoryview(piece)[:whole]))
            self._check(block)
            self._partial, self._partial_bytes = [], 0
            self._offset += len(block)
        if whole < len(piece):
            rest = piece[whole:]
            self._partial.append(rest)
            self._partial_bytes += len(rest)
            if self._partial_bytes > self._max:
                raise self._too_long(self._offset)
        return block

    def finish(self) -> bytes:
        """Return the last line if it has no newline."""
        return b"".join(self._partial)

    def _check(self, block: bytes) -> None:
        if len(block) <= self._max:
            return  # then no line is longer either; this is the rule, since pieces are smaller than the usual limit
        start = 0
        while start < len(block):
            end = block.find(b"\n", start) + 1
            if end - start > self._max:
                raise self._too_long(self._offset + start)
            start = end

    def _too_long(self, offset: int) -> SourceObjectError:
        return SourceObjectError(
            ErrorCode.LIMIT_EXCEEDED,
            self._name,
            f"the line at inflated byte {offset} is longer than {self._max} bytes",
        )


def lines_of(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a block that are not empty: where each starts in the block, and its bytes with the newline."""
    lines = BytesIO(block).readlines()  # ten times as fast as bytes.split, which looks at each byte by itself
    starts = accumulate(map(len, lines), initial=0)
    return ((start, line) for start, line in zip(starts, lines, strict=False) if line != b"\n")
