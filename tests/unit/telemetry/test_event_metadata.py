from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.event_metadata import (
    event_time,
    event_times,
    message_id,
    message_ids,
    schema_version,
    schema_versions,
)


@pytest.mark.parametrize(
    ("event", "moment"),
    [
        ({"ets": 1493873750000}, 1493873750000),
        ({"ets": 1574068218621.0}, 1574068218621),
        ({"ets": 0, "ts": "2016-04-27T13:03:11+05:30"}, 1461742391000),
        ({"ts": "2016-08-29T11:39:40.082+0530"}, 1472450980082),
        ({"ets": "1493873750000"}, None),
        ({"ets": -1}, None),
        ({"ets": 1e300}, None),
        ({"ets": 1}, 1),
        ({"ets": 0.5}, 0),
        ({"ets": 253_402_300_799_999}, 253_402_300_799_999),
        ({"ets": 253_402_300_800_000}, None),
        ({"ets": 253_402_300_800_000, "ts": "1970-01-01T00:00:00.001Z"}, 1),
        ({"ets": float("nan")}, None),
        ({"ts": "1970-01-01T00:00:00Z"}, 0),
        ({"ts": "1969-12-31T23:59:59.999Z"}, -1),
        ({"ts": "9999-12-31T23:59:59.999Z"}, 253_402_300_799_999),
        ({"ts": "9999-12-31T23:59:59.9999Z"}, None),
        ({"ets": True, "ts": "2016-08-29T11:39:40"}, 1),
        ({"ts": "2016-08-29T11:39:40"}, None),
        ({"ts": "9999-12-31T23:59:59-12:00"}, None),
        ({"ts": "soon"}, None),
        ({"ts": 5}, None),
        ({}, None),
    ],
)
def test_the_device_says_when(event: dict[str, object], moment: int | None) -> None:
    assert event_time(event) == moment


@pytest.mark.parametrize(("event", "mid"), [({"mid": "a"}, "a"), ({"mid": ""}, None), ({"mid": 1}, None), ({}, None)])
def test_an_event_may_have_an_id(event: dict[str, object], mid: str | None) -> None:
    assert message_id(event) == mid


@pytest.mark.parametrize(
    ("event", "version"),
    [
        ({"ver": "3.0"}, "3.0"),
        ({"ver": "x" * 99}, "x" * 16),
        ({"ver": "x" * 17}, "x" * 16),
        ({"ver": "x" * 16}, "x" * 16),
        ({"ver": 0}, "0"),
        ({"ver": 3}, "3"),
        ({"ver": 2.1}, "2.1"),
        ({"ver": True}, "none"),
        ({"ver": ""}, "none"),
        ({}, "none"),
    ],
)
def test_an_event_may_have_a_version(event: dict[str, object], version: str) -> None:
    assert schema_version(event) == version


regular = st.fixed_dictionaries(
    {"ver": st.sampled_from(["3.0", "2.2"]), "mid": st.sampled_from(["a", "b"]), "ets": st.integers(1, 10**13)}
)
odd: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["ver", "mid", "ets", "ts"]),
    st.sampled_from(["", "x" * 17, "3.0", "2016-04-27T13:03:11+05:30", None, True, 0, -1, 10**18, 1e12, ["3.0"], {}]),
)


@given(st.lists(regular, max_size=4), st.lists(odd, max_size=2))
def test_many_events_say_what_each_says(events: list[dict[str, object]], others: list[dict[str, object]]) -> None:
    events += others
    assert event_times(events) == [moment for moment in map(event_time, events) if moment is not None]
    assert message_ids(events) == [mid for mid in map(message_id, events) if mid is not None]
    assert schema_versions(events) == Counter(map(schema_version, events))


def test_many_events_keep_to_the_limits_of_each() -> None:
    latest = 253_402_300_800_000
    assert event_times([{"ets": 1}, {"ets": latest - 1}]) == [1, latest - 1]
    assert event_times([{"ets": 1}, {"ets": latest}]) == [1]
    assert event_times([{"ets": 1}, {"ets": latest + 1}]) == [1]
    assert event_times([{"ets": -1}, {"ets": 5}]) == [5]
    assert event_times([{"ets": 5}, {"ets": True}]) == [5, 1]
    assert event_times([]) == []
    assert message_ids([]) == []
    assert schema_versions([{"ver": "x" * 16}] * 2) == {"x" * 16: 2}
    assert schema_versions([{"ver": "x" * 16}, {"ver": "x" * 17}]) == {"x" * 16: 2}
    assert schema_versions([]) == {}
