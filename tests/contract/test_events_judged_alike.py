"""`exhaust-events validate` and the consumer of the status service say the same of every event."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exhaust_contract.command import run
from exhaust_contract.documents import KINDS, example
from exhaust_contract.refusals import EXPLANATIONS, RefusalCode
from exhaust_contract.strict_json import read_json
from exhaust_contract.written_events import read_events
from hypothesis import given
from hypothesis import strategies as st

from exhaust.kafka.records import Record, RejectedRecordError, RejectionCode
from schemas.events import COMPLETION
from services.status.completions import claim_in

OURS = [kind.name for kind in KINDS if kind.topic == "dataset.completions"]
GONE = object()
WRONG: tuple[object, ...] = (GONE, None, "", "7", -1, 2**60, 1.5, True, [], {}, "a\0b", "\ud800", "x" * 2000)
TEXTS = ("", "{", "nope", "NaN", '{"a": Infinity}', "[[", "\ufeff{}", "[" * 200 + "]" * 200, '"\\udead"', "{}x")


def changed(value: Any, place: tuple[str, ...], new: object) -> Any:
    """A copy of a value with another thing at a place."""
    name, *rest = place
    inner = changed(value[name], tuple(rest), new) if rest else new
    without = {key: found for key, found in value.items() if key != name}
    return without if inner is GONE else without | {name: inner}


def places(value: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in value.items():
        yield (*above, name)
        if isinstance(inner, dict):
            yield from places(inner, (*above, name))


def events() -> list[dict[str, Any]]:
    """The examples, each with something wrong at every place; and values that are no JSON."""
    shown = [example(name, variant) for name in OURS for variant in ("least", "full", "refused")]
    found = list(shown)
    turn = 0
    for one in shown:
        for place in places({"headers": one["headers"], "value": one["value"]}):
            for _ in range(3):
                turn += 1
                new = WRONG[turn % len(WRONG)]
                if place != ("headers",):
                    found.append(changed(one, place, new))
    found += [{"headers": shown[0]["headers"], "key": "k", "text": text} for text in TEXTS]
    for status in ("inprogress", "complete", "failed", "done"):
        found += [changed(one, ("value", "status"), status) for one in shown]
    return found


EVENTS = events()


def record_of(file: Path) -> list[Record]:
    return [
        Record("dataset.completions", 0, 0, event.key, event.value or b"", event.headers, tombstone=event.value is None)
        for event in read_events(str(file))
    ]


def judged(record: Record) -> tuple[str, str] | None:
    try:
        claim_in(record)
    except RejectedRecordError as error:
        return error.code.value, error.pointer
    return None


def test_at_least_200_events_get_the_same_code_and_pointer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps(EVENTS))
    assert run(["validate", "--json", str(file)]) == 1
    verdicts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    said = [(found["code"], found["pointer"]) if found["verdict"] == "refused" else None for found in verdicts]
    assert said == [judged(record) for record in record_of(file)]
    right = said.count(None)
    print(f"\n{len(said)} events, {right} right, codes {sorted({found[0] for found in said if found})}")
    assert len(said) >= 200
    assert 20 <= right <= len(said) - 100
    assert {found[0] for found in said if found} == {
        "NOT_JSON",
        "SCHEMA",
        "TOMBSTONE",
        "TYPE_MISMATCH",
        "ARCHIVE_OUTSIDE_PREFIX",
    }


def test_codes_are_those_of_the_consumer_and_all_are_explained() -> None:
    assert set(RefusalCode) == set(EXPLANATIONS)
    assert {code.value for code in RefusalCode} <= {code.value for code in RejectionCode}


NUMBERS = st.integers(-2, 2**54) | st.floats(allow_nan=False) | st.integers()
TEXT = st.text() | st.sampled_from(["ok", "empty", "2026-11-02", "0000-01-01", "9999-12-31", "0" * 64, "0" * 16])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)


@given(data=st.data(), base=st.sampled_from([example(name, "full") for name in OURS]), new=ANYTHING)
def test_what_the_schema_takes_the_type_takes_too(data: st.DataObject, base: dict[str, Any], new: Any) -> None:
    place = data.draw(st.sampled_from([place for place in places({"value": base["value"]}) if len(place) > 1]))
    value = json.dumps(changed(base, place, new)["value"]).encode()
    headers = tuple((name, text.encode()) for name, text in base["headers"].items())
    if judged(Record("topic", 0, 0, None, value, headers)) is None:
        COMPLETION.validate_python(read_json(value))
