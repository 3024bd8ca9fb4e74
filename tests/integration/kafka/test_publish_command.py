"""`exhaust-events publish` sends to a real Kafka, or says in a sentence why it does not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from exhaust_contract.documents import example

from exhaust.kafka.topic_reader import open_topic_reader
from schemas.events import TOPIC_COMPLETIONS
from services.status.completions import claim_in
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from tests.support.kafka_cluster import KafkaTestSettings

COMMAND = Path(sys.executable).with_name("exhaust-events")
NAMES = ("progress", "completed", "failed")


async def ran(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int | None, str, str]:
    """How the command ends, with what it has said."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUST_")}
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ours | (environment or {}),
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def events(tmp_path: Path) -> Path:
    """A file with an example of each report, of a request that nobody else has."""
    request, shown = str(uuid4()), []
    for name in NAMES:
        code, out, _ = await ran("example", name, "full", "--request", request, "--source", "/spark")
        assert code == 0
        shown.append(json.loads(out))
    file = tmp_path / "events.json"
    file.write_text("\n".join(map(json.dumps, shown)))
    return file


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines()


def environment_of(settings: KafkaTestSettings) -> dict[str, str]:
    """The variables by which the services reach the same Kafka."""
    found = {
        "EXHAUST_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "EXHAUST_KAFKA_SECURITY_PROTOCOL": settings.kafka_security_protocol,
    }
    if settings.kafka_sasl_password is not None:
        found |= {
            "EXHAUST_KAFKA_SASL_MECHANISM": settings.kafka_sasl_mechanism,
            "EXHAUST_KAFKA_SASL_USERNAME": str(settings.kafka_sasl_username),
            "EXHAUST_KAFKA_SASL_PASSWORD": settings.kafka_sasl_password.get_secret_value(),
        }
    return found


async def test_events_arrive_as_they_stand_in_the_file_and_are_what_the_consumer_takes(
    kafka_settings: KafkaTestSettings, events: Path
) -> None:
    shown = [json.loads(line) for line in await asyncio.to_thread(lines_of, events)]
    code, out, err = await ran("publish", str(events), environment=environment_of(kafka_settings))
    assert (code, err) == (0, "")
    places = [line.rpartition(" ")[2].split("/") for line in out.splitlines()]
    assert len({partition for partition, _ in places}) == 1
    async with open_topic_reader(kafka_settings) as reader:
        for (partition, offset), sent in zip(places, shown, strict=True):
            record = await reader.read_one(TOPIC_COMPLETIONS, int(partition), int(offset))
            assert record is not None
            assert (record.key, json.loads(record.value)) == (sent["key"].encode(), sent["value"])
            assert {name: text.decode() for name, text in record.headers} == sent["headers"]
            assert claim_in(record).event.event_id == sent["headers"]["ce_id"]


async def test_a_kafka_that_is_away_is_told_and_nothing_was_sent(events: Path, tmp_path: Path) -> None:
    config = tmp_path / "client.properties"
    config.write_text("message.timeout.ms=500\n")
    code, out, err = await ran(
        "publish", str(events), "--bootstrap", f"127.0.0.1:{closed_port()}", "--config", str(config)
    )
    assert (code, out) == (3, "")
    assert err.startswith("0 of 3 events were sent: ")
    assert err.endswith("Sending again is harmless\n")
    assert "onnection refused" in err
    assert "Traceback" not in err


async def test_a_setting_that_the_client_does_not_know_is_told(events: Path, tmp_path: Path) -> None:
    config = tmp_path / "client.properties"
    config.write_text("no.such.setting=7\n")
    code, _, err = await ran("publish", str(events), "--bootstrap", "127.0.0.1:1", "--config", str(config))
    assert code == 3
    assert "no.such.setting" in err


async def test_one_that_is_wrong_stops_all(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(example("completed", "refused")))
    code, out, err = await ran("publish", str(file), "--bootstrap", "127.0.0.1:1")
    assert (code, err) == (1, "Nothing was sent.\n")
    assert "ARCHIVE_OUTSIDE_PREFIX at /archive/key" in out
