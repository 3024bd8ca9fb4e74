"""How the driver reaches the brokers, and who it says that it is."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

if TYPE_CHECKING:
    from exhaust.settings import KafkaSettings

# What a call of the driver raises while Kafka is away; RuntimeError is uvloop's, of a write to a closed connection.
DRIVER_ERRORS: Final = (KafkaError, OSError, TimeoutError, RuntimeError)


def is_broken_connection(error: BaseException) -> bool:
    """Return True for an error that says no more than that a connection broke or a broker did not answer in time."""
    if isinstance(error, KafkaError):
        return isinstance(error, (KafkaConnectionError, RequestTimedOutError))
    return isinstance(error, (OSError, TimeoutError)) or (isinstance(error, RuntimeError) and "closed" in str(error))


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options of a client of the driver, of whichever kind. TLS trusts the authorities of this system."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context()
    if settings.kafka_sasl_password is not None:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options
