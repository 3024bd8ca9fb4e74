"""Readiness checks of servers on this machine. Each answers at once, and False in place of an error."""

import base64
import hashlib
import hmac
import http.client
import secrets
import socket
import struct
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import BinaryIO

from deploy.local.addresses import KAFKA_MECHANISM

_TIMEOUT = timedelta(seconds=1)
_NOTHING = b""
_POSTGRES_PROTOCOL = 3 << 16  # version 3.0
_METADATA, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 3, 17, 36  # Kafka protocol guide
_NO_ERROR = b"\0\0"


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


def kafka_is_ready(port: int, user: str, password: str) -> bool:
    """Return whether the cluster has a broker that has joined it, which is later than its port being open."""
    try:
        with _connected(port) as broker, broker.makefile("rb") as answers:
            return _brokers(broker, answers, user, password) > 0
    except (OSError, struct.error, ValueError, KeyError):
        return False


def _brokers(broker: socket.socket, answers: BinaryIO, user: str, password: str) -> int:
    """Return how many brokers the cluster has, asked by a user who logs in by SCRAM (RFC 5802) with SHA-512."""

    def call(api: int, version: int, body: bytes) -> bytes:
        request = struct.pack(">hhih", api, version, 1, -1) + body  # correlation id 1, no client id
        broker.sendall(struct.pack(">i", len(request)) + request)
        return answers.read(*struct.unpack(">i", answers.read(4)))[4:]

    def say(message: str) -> str:
        told = call(_SASL_AUTHENTICATE, 0, struct.pack(">i", len(message)) + message.encode())
        if told[:2] != _NO_ERROR:
            raise ValueError("the broker refuses this user")
        return told[8:].decode()  # after the code, no message, and the length

    call(_SASL_HANDSHAKE, 1, struct.pack(">h", len(KAFKA_MECHANISM)) + KAFKA_MECHANISM.encode())
    opening = f"n={user},r={secrets.token_hex(16)}"
    challenge = say(f"n,,{opening}")
    parts = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    key = hmac.digest(salted, b"Client Key", "sha512")
    closing = f"c=biws,r={parts['r']}"
    signature = hmac.digest(hashlib.sha512(key).digest(), f"{opening},{challenge},{closing}".encode(), "sha512")
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    say(f"{closing},p={base64.b64encode(proof).decode()}")
    (brokers,) = struct.unpack(">i", call(_METADATA, 1, struct.pack(">i", 0))[:4])
    return int(brokers)


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
