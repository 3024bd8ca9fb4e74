"""Durations are read as operators write them, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exhaust.domain.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta(0)),
        ("999999d", timedelta(days=999_999)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "1.5h", "7D", " 7d", "7d ", "7w", "1000000s", "٧d", "P7D"])
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="write 90s, 30m, 12h or 7d"):
        parse_duration(text)
