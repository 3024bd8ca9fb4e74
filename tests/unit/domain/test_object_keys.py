from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from exhaust.domain.object_keys import (
    attempt_prefix,
    day_archive_key,
    day_marker_key,
    day_markers_prefix,
    day_summary_key,
    expiry_by_prefix,
    outer_archive_key,
)

DAY = date(2026, 11, 1)
REQUEST = UUID("7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11")


def test_an_archive_and_its_record_have_one_place() -> None:
    place = ("eks-consumption-raw", "4208ab995984d222b59299e5103d350a", DAY, "00ff")
    stem = "days/eks-consumption-raw/4208ab995984d222b59299e5103d350a/2026-11-01/00ff"
    assert day_archive_key(*place) == f"{stem}.zip"
    assert day_summary_key(*place) == stem.replace("days/", "records/") + ".json"


def test_an_archive_outlives_its_record_by_more_than_a_request() -> None:
    kept = expiry_by_prefix(timedelta(days=7))
    place = ("d", "r", DAY, "00ff")
    kept_by_key = {
        key: next(kept[start] for start in kept if key.startswith(start))
        for key in (day_archive_key(*place), day_summary_key(*place), attempt_prefix(REQUEST, 1))
    }
    assert list(kept_by_key.values()) == [timedelta(days=9), timedelta(days=7), timedelta(days=7)]


def test_all_of_an_attempt_lies_under_its_prefix() -> None:
    prefix = "requests/7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11/attempt-2/"
    assert attempt_prefix(REQUEST, 2) == prefix
    assert day_markers_prefix(REQUEST, 2) == f"{prefix}days/"
    assert day_marker_key(REQUEST, 2, DAY) == f"{prefix}days/2026-11-01.json"
    assert outer_archive_key(REQUEST, 2, "D001", DAY, date(2026, 12, 1)) == f"{prefix}D001_2026-11-01_2026-12-01.zip"


def test_no_attempt_has_the_prefix_of_another() -> None:
    assert not attempt_prefix(REQUEST, 11).startswith(attempt_prefix(REQUEST, 1))


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "a b", "é", "a\n"])
def test_nothing_can_leave_its_place(part: str) -> None:
    for place in ((part, "r", DAY, "f"), ("d", part, DAY, "f"), ("d", "r", DAY, part)):
        for key in (day_archive_key, day_summary_key):
            with pytest.raises(ValueError, match="cannot be part of a key"):
                key(*place)
    with pytest.raises(ValueError, match="cannot be part of a key"):
        outer_archive_key(REQUEST, 1, part, DAY, DAY)
