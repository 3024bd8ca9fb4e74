"""What the driver is told of the brokers and of who calls them."""

import ssl

import pytest

from exhaust.kafka.connection import connection_options
from exhaust.settings import KafkaSettings

USER = {"kafka_sasl_username": "user", "kafka_sasl_password": "password"}
TOLD = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "user", "sasl_plain_password": "password"}


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_the_driver_gets_the_user_with_sasl_and_trusted_authorities_with_tls(protocol: str) -> None:
    given = {"kafka_bootstrap": "here:1", "kafka_security_protocol": protocol}
    options = connection_options(KafkaSettings.model_validate(given | (USER if "SASL" in protocol else {})))
    context = options.pop("ssl_context", None)
    assert options == given_options(protocol)
    assert (context is not None and context.verify_mode == ssl.CERT_REQUIRED) == protocol.endswith("SSL")


def given_options(protocol: str) -> dict[str, str]:
    options = {"bootstrap_servers": "here:1", "security_protocol": protocol}
    return options | TOLD if "SASL" in protocol else options
