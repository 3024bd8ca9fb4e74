from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.aggregator.archive.received import iso_ms, received_at, received_span


@pytest.mark.parametrize(
    "key",
    [
        "raw/2019-12-04-1575399627832.json.gz",
        "channel/abc/channel-raw-2019-12-04-1575399627832.jsonl",
        "2019-12-04-1575399627832",
        "2019-12-04-1575399627832-7.json",
        "raw/2019-12-04-3-1575399627832.json.gz",
        "2019-12-04-11-1575399627832.json",
    ],
)
def test_the_time_is_in_the_name(key: str) -> None:
    assert received_at(key) == datetime(2019, 12, 3, 19, 0, 27, 832_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "raw/pipeline-events-2019-08.json.gz",
        "2019-12-04-1575399627.json",
        "2019-12-04-15753996278320.json",
        "2019-12-04-1575399627832/part-1.json",
        "2019-12-04-x-1575399627832.json",
        "2019-12-04-1-2-1575399627832.json",
        "12019-12-04-1575399627832.json",
        "2019-12-04-१५७५३९९६२७८३२.json",
    ],
)
def test_other_names_hold_no_time(key: str) -> None:
    assert received_at(key) is None


def test_every_millisecond_is_kept() -> None:
    for last in range(1000):
        moment = received_at(f"2286-11-20-9999999999{last:03}.json")
        assert moment is not None
        assert moment.microsecond == last * 1000


def test_the_span_is_from_the_first_to_the_last_time() -> None:
    keys = [f"2019-12-04-1575399627{ms}.json" for ms in ("832", "000", "831", "001")]
    assert received_span(keys) == ("2019-12-03T19:00:27.000Z", "2019-12-03T19:00:27.832Z")
    assert received_span(keys[:1]) == ("2019-12-03T19:00:27.832Z",) * 2
    keys = ["2019-12-04-1575399627832.json", "other.json", "2019-12-04-1575399627000.json"]
    assert received_span(keys) == ("2019-12-03T19:00:27.000Z", "2019-12-03T19:00:27.832Z")


def test_without_times_there_is_no_span() -> None:
    assert received_span(["other.json"]) == (None, None)
    assert received_span([]) == (None, None)


@pytest.mark.parametrize(
    ("time_ms", "written"),
    [(0, "1970-01-01T00:00:00.000Z"), (1575399627832, "2019-12-03T19:00:27.832Z"), (-1, "1969-12-31T23:59:59.999Z")],
)
def test_a_time_in_ms_is_written_with_its_ms(time_ms: int, written: str) -> None:
    assert iso_ms(time_ms) == written
