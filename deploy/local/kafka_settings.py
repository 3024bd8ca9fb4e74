"""The settings of Kafka's clients for a stack's brokers."""

from deploy.local.addresses import KAFKA_MECHANISM, KAFKA_PROTOCOL, Stack


def kafka_fields(stack: Stack) -> dict[str, object]:
    """Return the fields of KafkaSettings that reach a stack's brokers with all rights."""
    fields: dict[str, object] = {"kafka_bootstrap": stack.kafka}
    if stack.kafka_username is None:  # existing brokers: the rest stands in this environment
        return fields
    return fields | {
        "kafka_security_protocol": KAFKA_PROTOCOL,
        "kafka_sasl_mechanism": KAFKA_MECHANISM,
        "kafka_sasl_username": stack.kafka_username,
        "kafka_sasl_password": stack.kafka_password,
    }
