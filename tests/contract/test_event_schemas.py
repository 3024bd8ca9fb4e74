"""Typed events, JSON Schemas, examples and headers say the same."""

import json
from datetime import datetime
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from exhaust_contract.documents import KINDS, VARIANTS, EventKind, example, part_of, schema
from pydantic import BaseModel, TypeAdapter, ValidationError

from exhaust.kafka.records import Record, RejectedRecordError
from schemas import events
from schemas.events import COMPLETION, TOPICS, CloudEvent, DatasetRequested, DayRequested, WorkerBeat
from services.aggregator.records import decode_day, decode_request
from services.status.completions import claim_in

TYPES: dict[str, TypeAdapter[Any]] = {
    "dataset.requests": TypeAdapter(DatasetRequested),
    "dataset.days": TypeAdapter(DayRequested),
    "dataset.completions": COMPLETION,
    "dataset.beats": TypeAdapter(WorkerBeat),
}
CONSUMERS = {"dataset.requests": decode_request, "dataset.days": decode_day, "dataset.completions": claim_in}
NEEDED = dict.fromkeys(TYPES, ("requestid", "attempt")) | {"dataset.beats": ("worker", "at", "bytesdone", "partitions")}
RIGHT = [variant for variant in VARIANTS if variant != "refused"]

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def validator_of(kind: EventKind) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(part_of(schema(kind.topic), kind.part), validate_formats=True)


def record_of(shown: dict[str, Any]) -> Record:
    headers = tuple((name, text.encode()) for name, text in shown["headers"].items())
    return Record("topic", 0, 0, shown["key"].encode(), json.dumps(shown["value"]).encode(), headers)


@each_kind
@pytest.mark.parametrize("variant", RIGHT)
def test_examples_follow_the_schema_and_survive_the_type(kind: EventKind, variant: str) -> None:
    shown = example(kind.name, variant)
    validator_of(kind).validate(shown["value"])
    jsonschema_rs.validator_for(schema(kind.topic), validate_formats=True).validate(shown["value"])
    jsonschema_rs.validator_for(schema("headers"), validate_formats=True).validate(shown["headers"])
    assert shown["headers"]["ce_type"] == kind.type
    typed = TYPES[kind.topic].validate_python(shown["value"])
    assert isinstance(typed, BaseModel)
    assert json.loads(typed.model_dump_json(exclude_unset=True)) == shown["value"]


@each_kind
def test_what_lacks_a_field_is_refused_by_schema_and_type_alike(kind: EventKind) -> None:
    for name in NEEDED[kind.topic]:
        broken = {key: value for key, value in example(kind.name, "full")["value"].items() if key != name}
        assert not validator_of(kind).is_valid(broken)
        with pytest.raises(ValueError, match=name):
            TYPES[kind.topic].validate_python(broken)


@each_kind
def test_the_least_example_has_no_more_than_it_needs(kind: EventKind) -> None:
    value = example(kind.name, "least")["value"]
    for name in value:
        assert not validator_of(kind).is_valid({key: found for key, found in value.items() if key != name}), name


@each_kind
def test_the_full_example_has_all_that_the_schema_knows(kind: EventKind) -> None:
    document = schema(kind.topic)
    known = document["$defs"][kind.part] if kind.part else document
    assert set(example(kind.name, "full")["value"]) == set(known["properties"])
    assert set(example(kind.name, "full")["headers"]) == set(schema("headers")["properties"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.topic in CONSUMERS], ids=lambda kind: kind.name)
def test_the_consumer_refuses_the_refused_example_and_takes_the_others(kind: EventKind) -> None:
    for variant in RIGHT:
        CONSUMERS[kind.topic](record_of(example(kind.name, variant)))
    shown = example(kind.name, "refused")
    with pytest.raises(RejectedRecordError) as refused:
        CONSUMERS[kind.topic](record_of(shown))
    assert {"code": refused.value.code, "pointer": refused.value.pointer} == shown["refused"]


def test_a_refused_beat_is_none() -> None:
    with pytest.raises(ValidationError, match="bytesdone"):
        TYPES["dataset.beats"].validate_python(example("beat", "refused")["value"])


def test_kinds_topics_and_headers_are_those_of_the_code() -> None:
    types = {value for name, value in vars(events).items() if name.startswith("TYPE_") and isinstance(value, str)}
    assert {kind.type for kind in KINDS} == types == set(schema("headers")["properties"]["ce_type"]["enum"])
    assert {kind.topic for kind in KINDS} == set(TOPICS) - {events.TOPIC_DEAD_LETTERS}
    assert schema("headers")["properties"]["ce_specversion"]["const"] == events.SPEC_VERSION
    time = "2026-11-30T03:00:10+00:00"
    sent = CloudEvent("1", KINDS[0].type, "/spark", datetime.fromisoformat(time), "00-1-1-01", b"{}").headers()
    assert {name for name, _ in sent} == set(schema("headers")["properties"])


@pytest.mark.parametrize("name", [*TYPES, "headers", "manifest"])
def test_every_schema_has_an_id_and_a_version(name: str) -> None:
    document = json.loads(resources.files("schemas").joinpath(f"{name}.schema.json").read_text())
    assert document["$id"] == f"urn:telemetry-exhaust:schema:{name}:v1"
    assert document["version"].startswith("1.")
