from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from exhaust.domain import object_keys
from exhaust.domain.object_keys import (
    KEPT_PREFIXES,
    WorkPlace,
    attempt_prefix,
    audit_export_key,
    cancelled_key,
    day_archive_key,
    day_summaries_prefix,
    day_summary_key,
    expiry_by_prefix,
    outer_archive_name,
    request_prefix,
    work_id,
    work_place,
)

DAY = date(2026, 11, 1)
REQUEST = UUID("7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11")


def test_an_archive_and_its_record_have_one_place() -> None:
    parts = ("eks-consumption-raw", "4208ab995984d222b59299e5103d350a", DAY, "00ff")
    stem = "days/eks-consumption-raw/4208ab995984d222b59299e5103d350a/2026-11-01/00ff"
    assert day_archive_key(*parts) == f"{stem}.zip"
    assert day_summary_key(*parts) == stem.replace("days/", "records/") + ".json"


def test_an_archive_outlives_its_record_by_more_than_a_request() -> None:
    kept = expiry_by_prefix(timedelta(days=7))
    parts = ("d", "r", DAY, "00ff")
    kept_by_key = {
        key: next(kept[start] for start in kept if key.startswith(start))
        for key in (day_archive_key(*parts), day_summary_key(*parts), attempt_prefix(REQUEST, 1))
    }
    assert list(kept_by_key.values()) == [timedelta(days=9), timedelta(days=7), timedelta(days=7)]


def test_every_key_expires_with_its_prefix_or_is_kept_on_purpose() -> None:
    parts = ("d", "r", DAY, "00ff")
    covered = (*expiry_by_prefix(timedelta(days=7)), *KEPT_PREFIXES)
    made = [
        day_archive_key(*parts),
        day_summary_key(*parts),
        day_summaries_prefix(*parts[:2]),
        request_prefix(REQUEST),
        attempt_prefix(REQUEST, 1),
        audit_export_key(1, 2),
        cancelled_key(REQUEST, 1),
        *(place().archive_key, place().outcome_key, place().markers_prefix, place().marker_key(DAY)),
    ]
    assert [key for key in made if sum(key.startswith(prefix) for prefix in covered) != 1] == []
    # Nothing of the kit writes elsewhere.
    makers = {name for name in vars(object_keys) if re.search("_(key|prefix)$", name) and not name.startswith("_")}
    assert makers - {"expiry_by_prefix"} == {
        "day_archive_key",
        "day_summary_key",
        "day_summaries_prefix",
        "request_prefix",
        "attempt_prefix",
        "audit_export_key",
        "cancelled_key",
    }


def place(attempt: int = 1, **change: Any) -> WorkPlace:
    asked: dict[str, Any] = {
        "dataset": "D001",
        "resource": "r",
        "first": DAY,
        "last": date(2026, 12, 1),
        "tags": ("b", "a"),
    }
    return work_place(REQUEST, attempt, **(asked | change))


def test_all_of_an_attempt_lies_under_its_prefix() -> None:
    work = work_id("D001", "r", DAY, date(2026, 12, 1), ["a", "b"])
    prefix = f"requests/7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11/attempt-2/{work}/"
    assert prefix.startswith(attempt_prefix(REQUEST, 2))
    found = place(2)
    assert found.prefix == prefix
    assert found.markers_prefix == f"{prefix}days/"
    assert found.marker_key(DAY) == f"{prefix}days/2026-11-01.json"
    assert found.outcome_key == f"{prefix}outcome.json"
    assert found.partial_key == f"{prefix}partial.json"
    assert found.archive_key == f"{prefix}D001_2026-11-01_2026-12-01.zip"


def test_other_data_lies_elsewhere() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"dataset": "D002"},
        {"resource": "s"},
        {"first": date(2026, 11, 2)},
        {"last": date(2026, 11, 30)},
        {"tags": ()},
        {"tags": ("a",)},
        {"tags": ("a,b",)},
    ]
    assert len({place(**change).prefix for change in changes}) == len(changes)
    assert place(tags=("a", "b", "a")) == place()


def test_the_work_id_stays_what_it_is() -> None:
    """Requests in progress during an update would be built again."""
    assert work_id("D001", "r", DAY, DAY, ["a"]) == "4e4bbef2caa0871f"


def test_no_attempt_has_the_prefix_of_another() -> None:
    assert not attempt_prefix(REQUEST, 11).startswith(attempt_prefix(REQUEST, 1))


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "a b", "é", "a\n"])
def test_nothing_can_leave_its_place(part: str) -> None:
    for parts in ((part, "r", DAY, "f"), ("d", part, DAY, "f"), ("d", "r", DAY, part)):
        for key in (day_archive_key, day_summary_key):
            with pytest.raises(ValueError, match="cannot be part of a key"):
                key(*parts)
    with pytest.raises(ValueError, match="cannot be part of a key"):
        place(dataset=part)


@pytest.mark.parametrize("part", ["a", "...", "A-Z_0.9", ".a", "x" * 200])
def test_plain_parts_keep_their_place(part: str) -> None:
    assert day_archive_key(part, part, DAY, part) == f"days/{part}/{part}/2026-11-01/{part}.zip"


def test_a_part_that_is_refused_is_shown_in_part() -> None:
    with pytest.raises(ValueError, match=r"^'/{80}' cannot be part of a key"):
        day_archive_key("/" * 300, "r", DAY, "f")


def test_the_mark_of_a_cancelled_attempt_lies_beside_its_work() -> None:
    assert cancelled_key(REQUEST, 3) == f"requests/{REQUEST}/attempt-3/cancelled"
    assert request_prefix(REQUEST) == f"requests/{REQUEST}/"
    assert outer_archive_name("D001", DAY, date(2026, 12, 1)) == "D001_2026-11-01_2026-12-01.zip"
