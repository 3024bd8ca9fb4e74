"""Readiness checks of servers on this machine. Each answers at once, and False in place of an error."""

import http.client
import socket
import struct
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

_TIMEOUT = timedelta(seconds=1)
_NOTHING = b""
_POSTGRES_PROTOCOL = 3 << 16  # version 3.0
# Metadata, version 1, correlation id 1, no client id, no topics (Kafka protocol guide).
_METADATA_REQUEST = struct.pack(">hhihi", 3, 1, 1, -1, 0)


def http_request(
    port: int, path: str, method: str = "GET", headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, bytes]:
    """Send an HTTP request to a server on this machine.

    Returns:
        The status and the body; status 0 when nobody answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT.total_seconds())
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, _NOTHING
    finally:
        connection.close()


def kafka_is_ready(port: int) -> bool:
    """Return whether the cluster has a broker that has joined it, which is later than its port being open."""
    try:
        with (
            _connected(port) as broker,
            broker.makefile("rb") as answer,
        ):
            broker.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
            _, _, brokers = struct.unpack(">iii", answer.read(12))  # length, correlation id, number of brokers
    except (OSError, struct.error):
        return False
    return bool(brokers > 0)


def postgres_is_ready(port: int, user: str, database: str) -> bool:
    """Return whether PostgreSQL accepts this user's connections, which it does after its recovery."""
    parameters = f"user\0{user}\0database\0{database}\0\0".encode()
    start_up = struct.pack(">ii", len(parameters) + 8, _POSTGRES_PROTOCOL) + parameters
    try:
        with _connected(port) as server:
            server.sendall(start_up)
            return server.recv(1) == b"R"  # R asks for the password; E is an error
    except OSError:
        return False


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), _TIMEOUT.total_seconds())
