"""The AsyncAPI document says what the code does. `make check-asyncapi` lints it."""

from importlib import resources
from typing import Any

import pytest
import yaml
from exhaust_contract.documents import KINDS, folder, part_of, schema

from exhaust.kafka.topics import topic_configuration
from exhaust.settings import TopicSettings
from schemas.events import GROUP_STATUS, TOPIC_BEATS, TOPIC_DEAD_LETTERS, TOPICS

DOCUMENT: dict[str, Any] = yaml.safe_load(resources.files("schemas").joinpath("asyncapi.yaml").read_text())
CHANNELS: list[dict[str, Any]] = list(DOCUMENT["channels"].values())
PARTITIONS = TopicSettings.model_fields["kafka_partitions"].default


def followed(reference: dict[str, str]) -> Any:
    """What a reference within the document points to."""
    found = DOCUMENT
    for part in reference["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_is_version_3_and_describes_every_topic_but_that_of_dead_letters() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert sorted(channel["address"] for channel in CHANNELS) == sorted(set(TOPICS) - {TOPIC_DEAD_LETTERS})


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel["address"])
def test_topics_are_configured_as_ours_are(channel: dict[str, Any]) -> None:
    told = channel["bindings"]["kafka"]
    settings = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in told["topicConfiguration"].items()
    }
    assert settings == topic_configuration(channel["address"])
    assert told["topic"] == channel["address"]
    assert told["partitions"] == (1 if channel["address"] == TOPIC_BEATS else PARTITIONS)


def test_every_kind_of_event_is_a_message_with_its_schema() -> None:
    told = {}
    for channel in CHANNELS:
        for reference in channel["messages"].values():
            message = followed(reference)
            traits = [followed(trait) for trait in message.get("traits", ())]
            whole = {name: value for part in (*traits, message) for name, value in part.items()}
            assert whole["headers"] == {"$ref": "./headers.schema.json"}
            assert whole["bindings"]["kafka"]["key"]["type"] == "string"
            told[message["name"]] = (channel["address"], whole["payload"]["$ref"])
    assert told == {
        kind.type: (kind.topic, f"./{kind.topic}.schema.json" + (f"#/$defs/{kind.part}" if kind.part else ""))
        for kind in KINDS
    }


def test_schemas_lie_beside_the_document() -> None:
    for kind in KINDS:
        assert (folder() / f"{kind.topic}.schema.json").is_file()
        assert part_of(schema(kind.topic), kind.part)


def test_the_group_that_takes_reports_is_named() -> None:
    assert DOCUMENT["operations"]["takeReports"]["bindings"]["kafka"]["groupId"]["enum"] == [GROUP_STATUS]
