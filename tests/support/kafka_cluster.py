"""The Kafka of the tests: they create topics and read them too."""

from __future__ import annotations

from exhaust.settings import ConsumerSettings, TopicSettings


class KafkaTestSettings(ConsumerSettings, TopicSettings):
    """All of Kafka's settings."""
