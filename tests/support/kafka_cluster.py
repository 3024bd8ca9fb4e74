"""The Kafka of the tests: they create topics and read them too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.local.stack import start_stack
from exhaust.settings import ConsumerSettings, TopicSettings

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.stack import Stack


class KafkaTestSettings(ConsumerSettings, TopicSettings):
    """All of Kafka's settings."""


def process_of_kafka(servers: Stack, folder: Path) -> int:
    """The process of Kafka, which another test may have killed and started again."""
    if "kafka" not in servers.processes:
        pytest.skip("this Kafka is not ours to stop")
    return start_stack(folder, services=False, stop_at_exit=True).processes["kafka"]
