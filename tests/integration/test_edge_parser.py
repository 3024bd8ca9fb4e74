"""The envelope answers malformed HTTP, in words that quote nothing of the request."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from exhaust.http.app import SECURITY_HEADERS, edge_app
from exhaust.http.endpoint import Answer, Call, HttpMetrics, endpoint
from exhaust.http.health import health_routes
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.health import Health
from schemas.bodies import EmptyBody
from schemas.operations import Operation
from tests.support.raw_http import RawReply, exchange, read_reply
from tests.support.s3_proxy import closed_port

CANARY = b"canary-4711"
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v2/echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def go_on() -> asyncio.Event:
    """The event that /v2/wait waits for."""
    return asyncio.Event()


@pytest.fixture
async def port(go_on: asyncio.Event) -> AsyncIterator[int]:
    async def echo(call: Call[EmptyBody]) -> Answer:
        return Answer({"msgid": call.msgid})

    async def wait(_call: Call[EmptyBody]) -> Answer:
        await go_on.wait()
        return Answer()

    app, metrics = edge_app(), HttpMetrics(MetricRegistry())
    app.add_routes(
        [
            *health_routes(Health()),
            web.post("/v2/echo", endpoint(Operation("echo", "2.0"), EmptyBody, echo, metrics)),
            web.post("/v2/wait", endpoint(Operation("wait", "2.0"), EmptyBody, wait, metrics)),
        ]
    )
    number = closed_port()
    async with open_listener(app, "127.0.0.1", number):
        yield number


def assert_envelope(reply: RawReply, status: int) -> None:
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["server"] == "telemetry-exhaust"
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers[name.lower()] == value
    assert (reply.json["params"]["status"], reply.json["params"]["err"]) == ("failed", "INVALID_DATA_ERROR")
    assert reply.json["params"]["errmsg"]
    assert CANARY not in reply.body
    assert b"Traceback" not in reply.body


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no words": CANARY + b"\r\n\r\n",
    "bad method": b"G@T /" + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad version": b"GET /" + CANARY + b" HTTP/9.9\r\nHost: x\r\n\r\n",
    "no path": b"GET " + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe" + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute, half an address": b"GET http://[::1" + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute, no port": b"GET http://a:99999999/" + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "line feeds alone": b"GET /" + CANARY + b" HTTP/1.1\nHost: x\n\n",
    "NUL in a header": HEAD + b"X-API-Key: " + CANARY + b"\0\r\n\r\n",
    "carriage return in a header": HEAD + b"X-API-Key: " + CANARY + b"\rX: y\r\n\r\n",
    "space in a header name": HEAD + b"X-API Key: " + CANARY + b"\r\n\r\n",
    "no colon": HEAD + CANARY + b"\r\n\r\n",
    "folded header": HEAD + b"X: a\r\n " + CANARY + b"\r\n\r\n",
    "two hosts": HEAD + b"Host: " + CANARY + b"\r\n\r\n",
    "no host": b"GET /" + CANARY + b" HTTP/1.1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + CANARY,
    "one length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + CANARY,
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + CANARY,
    "negative length": POST + b"Content-Length: -2\r\n\r\n" + CANARY,
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}" + CANARY,
    "length in other digits": POST + "Content-Length: ٢\r\n\r\n{}".encode() + CANARY,
    "endless length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + CANARY,
    "unknown transfer encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CANARY,
    "chunks before another encoding": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + CANARY,
    "chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz" + CANARY + b"\r\n{}\r\n0\r\n\r\n",
    "second request": POST + b"Content-Length: 2\r\n\r\n{}" + CANARY + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused_and_the_connection_closed(port: int, request_bytes: bytes) -> None:
    reply, closed = await exchange(port, request_bytes)
    assert_envelope(reply, 400)
    assert closed


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + CANARY * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (HEAD + b"X-API-Key: " + CANARY * 2000 + b"\r\n\r\n", 431),
        (HEAD + CANARY * 2000 + b": x\r\n\r\n", 431),
        (HEAD + b"X: " + CANARY + b"\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (POST + b"Expect: " + CANARY + b"\r\nContent-Length: 2\r\n\r\n{}", 417),
    ],
    ids=["line", "header", "header name", "headers", "expectation"],
)
async def test_a_long_line_header_and_an_unknown_expect_have_their_own_status(
    port: int, request_bytes: bytes, status: int
) -> None:
    reply, _ = await exchange(port, request_bytes)
    assert_envelope(reply, status)


@pytest.mark.parametrize(
    "body",
    [
        b"zz" + CANARY + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}" + CANARY + b"\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + CANARY + b"\r\n\r\n",
    ],
    ids=["no size", "no end", "negative", "endless", "bad trailer"],
)
async def test_malformed_chunks_after_good_headers_are_refused(port: int, body: bytes) -> None:
    reply, closed = await exchange(port, CHUNKED, body)
    assert_envelope(reply, 400)
    assert closed


async def test_malformed_chunks_behind_a_slow_request_are_refused(port: int, go_on: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v2/wait HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
    assert (await read_reply(reader)).status == 100
    writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    await writer.drain()
    writer.write(b"zz" + CANARY + b"\r\n{}\r\n0\r\n\r\n")
    go_on.set()
    assert (await read_reply(reader)).status == 200
    assert_envelope(await read_reply(reader), 400)
    assert await reader.read() == b""
    writer.close()


async def test_a_good_request_keeps_the_connection_alive(port: int) -> None:
    body = json.dumps({"params": {"msgid": "m"}}).encode()
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for request in ((CHUNKED, chunks), (POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body),)):
        reply, closed = await exchange(port, *request)
        assert (reply.status, reply.json["result"], closed) == (200, {"msgid": "m"}, False)
