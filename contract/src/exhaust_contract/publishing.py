"""Sending events to Kafka."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exhaust_contract.checking import TOPIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exhaust_contract.written_events import WrittenEvent

SEND_TIMEOUT: Final = 30  # seconds
_SASL: Final = "SASL_"
_DEFAULTS: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "message.timeout.ms": str(SEND_TIMEOUT * 1000),
    "log_level": "0",  # what is wrong is in our sentence
}
# As the services call them. A secret is no argument, which every process of the machine could read.
_VARIABLES: Final = {
    "EXHAUST_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "EXHAUST_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "EXHAUST_KAFKA_SASL_USERNAME": "sasl.username",
    "EXHAUST_KAFKA_SASL_PASSWORD": "sasl.password",
}


class PublishError(Exception):
    """Events that were not sent, with a sentence that says why."""


def client_settings(
    bootstrap: str | None, file: str | None, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the settings of the Kafka client: ours, then those of the environment, then those of a file.

    Args:
        bootstrap: host:port of brokers; None takes EXHAUST_KAFKA_BOOTSTRAP.
        file: a name=value a line, with the names of librdkafka.
        environment: of the process.

    Raises:
        PublishError: the file cannot be read, or nobody says where the brokers are.
    """
    settings = dict(_DEFAULTS)
    settings |= {name: environment[variable] for variable, name in _VARIABLES.items() if variable in environment}
    if file is not None:
        settings |= _read_settings(file)
    servers = bootstrap or settings.get("bootstrap.servers") or environment.get("EXHAUST_KAFKA_BOOTSTRAP")
    if not servers:
        raise PublishError("where are the brokers? Give --bootstrap host:port, or set EXHAUST_KAFKA_BOOTSTRAP")
    return settings | {"bootstrap.servers": servers}


def _read_settings(file: str) -> dict[str, str]:
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError(f"{file} cannot be read") from error
    told = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in told)}


def publish(events: Sequence[WrittenEvent], settings: Mapping[str, str]) -> list[str]:
    """Send events, and return where Kafka has put each: `partition/offset`.

    Raises:
        PublishError: there is no Kafka client, or not all were acknowledged within 30 s. Those that were may be sent
            again: an event counts once.
    """
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError as error:
        raise PublishError(
            "publish needs a Kafka client: pip install 'telemetry-exhaust-contract[kafka]'; any other client can send"
            " what `example` prints"
        ) from error
    places = ["" for _ in events]
    failures: list[str] = []
    troubles: list[str] = []  # with the connection, which the client goes on trying
    try:
        producer = Producer({**settings, "error_cb": lambda error: troubles.append(str(error))})
        for number, event in enumerate(events):
            producer.produce(
                TOPIC, event.value, event.key, headers=list(event.headers), on_delivery=_note(number, places, failures)
            )
        deadline = time.monotonic() + SEND_TIMEOUT
        while producer.flush(1) and not failures and time.monotonic() < deadline:
            pass
    except (KafkaException, BufferError) as error:
        raise PublishError(f"Kafka took nothing: {error}") from error
    if failures or not all(places):
        why = failures[0] if failures else f"no acknowledgement within {SEND_TIMEOUT} s"
        why += f" ({troubles[-1]})" if troubles else ""
        raise PublishError(
            f"{sum(map(bool, places))} of {len(events)} events were sent: {why}. Sending again is harmless"
        )
    return places


def _note(number: int, places: list[str], failures: list[str]) -> Any:
    def note(error: Any, message: Any) -> None:
        if error is not None:
            failures.append(str(error))
        else:
            places[number] = f"{message.partition()}/{message.offset()}"

    return note
