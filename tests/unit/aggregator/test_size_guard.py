"""The limits of a source object, each at its very edge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exhaust.errors import ErrorCode, SourceObjectError
from services.aggregator.scan.size_guard import SizeGuard, SourceLimits

LIMITS = SourceLimits(max_bytes=1000, max_ratio=10, ratio_grace=100, max_members=3, max_line=50)


def guard_of(limits: SourceLimits = LIMITS, *, stored: int = 100) -> SizeGuard:
    guard = SizeGuard("raw/x.gz", limits)
    guard.stored = stored
    return guard


def refused(guard: SizeGuard, size: int, sentence: str) -> None:
    with pytest.raises(SourceObjectError, match=sentence) as error:
        guard.check(bytes(size))
    assert error.value.code is ErrorCode.LIMIT_EXCEEDED
    assert error.value.source_object == "raw/x.gz"


def test_pieces_come_back_as_they_are_and_are_counted() -> None:
    guard = guard_of()
    assert [guard.check(b"abc"), guard.check(b""), guard.check(b"de")] == [b"abc", b"", b"de"]
    assert guard.inflated == 5


def test_as_many_bytes_as_the_limit_are_allowed_and_not_one_more() -> None:
    guard = guard_of()
    guard.check(bytes(400))
    guard.check(bytes(600))
    refused(guard, 1, r"holds more than 1000 bytes \(within its first 100 bytes\)")


def test_the_ratio_is_allowed_and_not_one_byte_more() -> None:
    guard = guard_of(stored=20)
    guard.check(bytes(200))
    refused(guard, 1, "inflates to more than 10 times its size")


def test_the_ratio_counts_behind_the_grace_alone() -> None:
    guard = guard_of(stored=1)
    guard.check(bytes(50))
    guard.check(bytes(50))
    refused(guard, 1, "inflates to more than 10 times its size")
    guard_of(replace(LIMITS, ratio_grace=0), stored=1).check(bytes(10))
    refused(guard_of(replace(LIMITS, ratio_grace=0), stored=1), 11, "10 times")


def test_as_many_members_as_the_limit_are_allowed_and_not_one_more() -> None:
    guard = guard_of()
    for _ in range(3):
        guard.check_member()
    with pytest.raises(SourceObjectError, match="more than 3 compressed members") as error:
        guard.check_member()
    assert error.value.code is ErrorCode.LIMIT_EXCEEDED


def test_what_cannot_be_read_is_another_error() -> None:
    error = guard_of(stored=7).unreadable("the stream is corrupt")
    assert (error.code, error.source_object) == (ErrorCode.SOURCE_OBJECT_UNREADABLE, "raw/x.gz")
    assert error.message == "raw/x.gz: the stream is corrupt (within its first 7 bytes)"
