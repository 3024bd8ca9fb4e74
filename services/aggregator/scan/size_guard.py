"""The limits of a source object, and the guard that refuses an object which exceeds them."""

from __future__ import annotations

from dataclasses import dataclass

from exhaust.errors import ErrorCode, SourceObjectError


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """The most that a source object may hold.

    Attributes:
        max_bytes: inflated bytes.
        max_ratio: of inflated to stored bytes. It counts once `ratio_grace` bytes are inflated, because small objects
            of repeated lines compress very well.
        max_members: gzip members or zstd frames.
        max_line: bytes of one line, its newline included.
    """

    max_bytes: int
    max_ratio: int
    ratio_grace: int
    max_members: int
    max_line: int


class SizeGuard:
    """The count of one object's bytes and members, held against its limits.

    Attributes:
        stored: bytes of the object that have been read; the reader counts them.
        inflated: bytes that were inflated of them.
    """

    def __init__(self, name: str, limits: SourceLimits) -> None:
        self._name = name
        self._limits = limits
        self._members = 0
        self.stored = 0
        self.inflated = 0

    def check_member(self) -> None:
        """Count a compressed member that begins.

        Raises:
            SourceObjectError: LIMIT_EXCEEDED.
        """
        self._members += 1
        if self._members > self._limits.max_members:
            raise self.exceeded(f"holds more than {self._limits.max_members} compressed members")

    def check(self, piece: bytes) -> bytes:
        """Count inflated bytes, and return them.

        Raises:
            SourceObjectError: LIMIT_EXCEEDED.
        """
        self.inflated += len(piece)
        if self.inflated > self._limits.max_bytes:
            raise self.exceeded(f"holds more than {self._limits.max_bytes} bytes")
        if self.inflated > self._limits.ratio_grace and self.inflated > self._limits.max_ratio * self.stored:
            raise self.exceeded(f"inflates to more than {self._limits.max_ratio} times its size")
        return piece

    def exceeded(self, what: str) -> SourceObjectError:
        """Return the error for a limit, which names the object and the place."""
        return self._error(ErrorCode.LIMIT_EXCEEDED, what)

    def unreadable(self, what: str) -> SourceObjectError:
        """Return the error for a stream that cannot be read, which names the object and the place."""
        return self._error(ErrorCode.SOURCE_OBJECT_UNREADABLE, what)

    def _error(self, code: ErrorCode, what: str) -> SourceObjectError:
        return SourceObjectError(code, self._name, f"{what} (within its first {self.stored} bytes)")
