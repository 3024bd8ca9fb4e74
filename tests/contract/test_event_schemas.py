"""Typed events, JSON Schemas and examples say the same."""

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel, TypeAdapter

from schemas.events import COMPLETION, DatasetRequested, DayRequested, WorkerBeat

KINDS: dict[str, TypeAdapter[Any]] = {
    "dataset.requests": TypeAdapter(DatasetRequested),
    "dataset.days": TypeAdapter(DayRequested),
    "dataset.completions": COMPLETION,
    "dataset.beats": TypeAdapter(WorkerBeat),
}
NEEDED = dict.fromkeys(KINDS, ("requestid", "attempt")) | {"dataset.beats": ("worker", "at", "bytesdone", "partitions")}


def document(name: str) -> Any:
    return json.loads(resources.files("schemas").joinpath(name).read_text())


def examples(topic: str) -> list[dict[str, Any]]:
    found = document(f"{topic}.example.json")
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("topic", KINDS)
def test_examples_follow_the_schema_and_survive_the_type(topic: str) -> None:
    validator = jsonschema_rs.validator_for(document(f"{topic}.schema.json"), validate_formats=True)
    for example in examples(topic):
        validator.validate(example)
        typed = KINDS[topic].validate_python(example)
        assert isinstance(typed, BaseModel)
        assert json.loads(typed.model_dump_json(exclude_none=True)) == example


@pytest.mark.parametrize("topic", KINDS)
def test_what_lacks_a_field_is_refused_by_schema_and_type_alike(topic: str) -> None:
    validator = jsonschema_rs.validator_for(document(f"{topic}.schema.json"), validate_formats=True)
    for example in examples(topic):
        for name in NEEDED[topic]:
            broken = {key: value for key, value in example.items() if key != name}
            assert not validator.is_valid(broken)
            with pytest.raises(ValueError, match=name):
                KINDS[topic].validate_python(broken)
