"""Which errors of the driver say no more than that a connection broke."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from exhaust.kafka.connection import is_broken_connection

CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"


@pytest.mark.parametrize(
    "error",
    [
        KafkaConnectionError("connection lost"),
        RequestTimedOutError(),
        ConnectionResetError(),
        TimeoutError(),
        RuntimeError(CLOSED),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_heals_by_itself(error: Exception) -> None:
    assert is_broken_connection(error)


@pytest.mark.parametrize(
    "error",
    [
        GroupAuthorizationFailedError("group"),
        TopicAuthorizationFailedError("topic"),
        RuntimeError("dictionary changed size during iteration"),
        ValueError("too large"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_wants_a_person(error: Exception) -> None:
    assert not is_broken_connection(error)
