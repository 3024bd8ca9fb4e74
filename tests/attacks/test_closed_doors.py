"""The servers of the local stack, asked by somebody on the same machine who has no credentials."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import TOPIC_COMPLETIONS
from tests.attacks.processes import FOLDER
from tests.attacks.store import Store

if TYPE_CHECKING:
    from deploy.local.stack import Stack
    from tests.attacks.store import RawData

KEY: Final = "attacks/closed.json.gz"
REFUSED: Final = frozenset({401, 403, 404, 405})
METADATA, DESCRIBE_CLUSTER, CREATE_TOPICS = 3, 60, 19
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
FRAME_HEAD: Final = 9
TRIED_FOR_S: Final = 10.0


@pytest.fixture(scope="module")
def ports(stack: Stack) -> dict[str, int]:
    assert stack.processes
    found: dict[str, int] = json.loads((FOLDER / "settings.json").read_text())["ports"]
    return found


@pytest.fixture(scope="module", autouse=True)
async def planted(raw: RawData) -> None:
    await raw.put(KEY, b"planted")


async def answer(http: aiohttp.ClientSession, method: str, url: str, data: bytes | None = None) -> tuple[int, bytes]:
    """Status and body; status 0 where nobody listens or the connection is dropped."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with http.request(method, url, data=data, timeout=aiohttp.ClientTimeout(total=5)) as got:
            return got.status, await got.read()
    return 0, b""


async def test_the_filer_shows_and_takes_nothing(
    stack: Stack, http: aiohttp.ClientSession, store: Store, ports: dict[str, int]
) -> None:
    filer, bucket = f"http://127.0.0.1:{ports['filer']}", stack.s3.raw_bucket
    calls = [
        ("GET", f"{filer}/buckets/{bucket}/{KEY}"),
        ("GET", f"{filer}/buckets/?limit=10"),
        ("GET", f"{filer}/?metadata=true"),
        ("POST", f"{filer}/buckets/{bucket}/attacks/put.json.gz"),
        ("PUT", f"{filer}/buckets/{bucket}/{KEY}"),
        ("DELETE", f"{filer}/buckets/{bucket}/{KEY}"),
        ("GET", f"{filer}/etc/iam/identity.json"),
    ]
    answers = {}
    for method, url in calls:
        status, body = await answer(http, method, url, b"forged" if method in {"POST", "PUT"} else None)
        answers[f"{method} {url}"] = status
        assert b"planted" not in body
    assert {what: status for what, status in answers.items() if status not in REFUSED | {0}} == {}
    assert await store.get(bucket, KEY) == b"planted"


async def test_the_s3_server_shows_and_takes_nothing(stack: Stack, http: aiohttp.ClientSession) -> None:
    anybody, wrong = Store(http, stack.s3.endpoint), Store(http, stack.s3.endpoint, stack.s3.access_key, "wrong")
    for bucket in (stack.s3.raw_bucket, stack.s3.exhaust_bucket):
        for who in (anybody, wrong):
            calls = [("GET", ""), ("GET", KEY), ("PUT", KEY), ("DELETE", KEY)]
            found = [(await who.call(method, bucket, key))[0] for method, key in calls]
            assert found == [403] * len(calls)


async def settings_frame(port: int, tls: ssl.SSLContext | None) -> bytes:
    """The first frame that a gRPC server sends to somebody without a certificate; empty when it sends none."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    except OSError:
        return b""
    try:
        writer.write(HTTP2_PREFACE)
        return await asyncio.wait_for(reader.readexactly(FRAME_HEAD), 5)
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return b""
    finally:
        writer.close()


async def test_no_grpc_server_of_the_store_speaks_with_who_has_no_certificate(ports: dict[str, int]) -> None:
    anonymous = ssl.create_default_context()
    anonymous.check_hostname, anonymous.verify_mode = False, ssl.CERT_NONE
    anonymous.set_alpn_protocols(["h2"])
    servers = [name for name in ports if name.endswith("_grpc")]
    assert len(servers) >= 4
    spoke = {
        f"{name}, {how}"
        for name in servers
        for how, tls in (("in the clear", None), ("by TLS", anonymous))
        if await settings_frame(ports[name], tls)
    }
    assert spoke == set()


async def test_kafka_takes_and_shows_nothing(stack: Stack) -> None:
    for driver in (AIOKafkaProducer, AIOKafkaConsumer):
        client = driver(bootstrap_servers=stack.kafka, request_timeout_ms=3000)
        await is_kept_out(client)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_kafka_refuses_a_wrong_password(stack: Stack, mechanism: str) -> None:
    client = AIOKafkaProducer(
        bootstrap_servers=stack.kafka,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_plain_username=getattr(stack, "kafka_username", "admin"),
        sasl_plain_password="wrong",
        request_timeout_ms=3000,
    )
    await is_kept_out(client)


async def is_kept_out(client: Any) -> None:
    """Check that a client of Kafka cannot even start."""
    try:
        with pytest.raises((KafkaError, OSError, TimeoutError)):
            await asyncio.wait_for(client.start(), TRIED_FOR_S)
    finally:
        await client.stop()


async def kafka_answers(port: int, api: int, version: int, *, flexible: bool, body: bytes) -> bool:
    """Whether a Kafka listener answers a request of somebody who has not said who it is."""
    head = struct.pack(">hhi", api, version, 1) + struct.pack(">h", 1) + b"x" + (b"\0" if flexible else b"")
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(struct.pack(">i", len(head + body)) + head + body)
        size = struct.unpack(">i", await asyncio.wait_for(reader.readexactly(4), 5))[0]
        return len(await asyncio.wait_for(reader.readexactly(size), 5)) > 4
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def test_no_listener_of_kafka_answers_who_has_not_said_who_it_is(stack: Stack, ports: dict[str, int]) -> None:
    named = TOPIC_COMPLETIONS.encode()
    one_topic = struct.pack(">ih", 1, len(named)) + named
    asked = {
        "the broker, of a topic": (int(stack.kafka.rpartition(":")[2]), METADATA, 0, False, one_topic),
        "the controller, of the cluster": (ports["kafka_controller"], DESCRIBE_CLUSTER, 1, True, b"\0\x02\0"),
    }
    answered = [
        who
        for who, (port, api, version, flexible, body) in asked.items()
        if await kafka_answers(port, api, version, flexible=flexible, body=body)
    ]
    assert answered == []


async def test_postgres_lets_nobody_in_without_the_right_password(ports: dict[str, int]) -> None:
    for user in ("postgres", "exhaust_owner", "exhaust_runtime", "nobody"):
        for database in ("exhaust", "postgres", "template1"):
            with pytest.raises((asyncpg.PostgresError, OSError)):
                await asyncpg.connect(
                    host="127.0.0.1", port=ports["postgres"], user=user, password="wrong", database=database
                )
