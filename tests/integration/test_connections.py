"""A listener with small limits closes slow connections, and evicts idle ones when there are too many."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web

from exhaust.http.app import edge_app
from exhaust.http.connections import ConnectionLimiter, ConnectionLimits
from exhaust.http.edge_protocol import MAX_HEAD_BYTES
from exhaust.http.endpoint import Answer, Call, HttpMetrics, StreamedAnswer, endpoint
from exhaust.http.health import health_routes
from exhaust.http.listener import open_listener
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.health import Health
from schemas.bodies import EmptyBody
from schemas.operations import Operation
from tests.support.raw_http import GOOD_REQUEST, TIMEOUT_S, RawReply, read_reply
from tests.support.s3_proxy import closed_port

SHORT, LONG = timedelta(seconds=0.3), timedelta(seconds=60)
HALF_A_HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "
WAIT = b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
EXPECTING = b"POST /wait HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
STREAM = b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
CHUNK = b"x" * 1_000_000
CHUNKS = 40


@dataclass
class Line:
    """A connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes = GOOD_REQUEST) -> RawReply:
        self.writer.write(request)
        return await read_reply(self.reader)

    async def closed(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.read()


@dataclass
class Listener:
    port: int
    registry: MetricRegistry
    stack: AsyncExitStack
    at_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    stream_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, source: str = "127.0.0.1") -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0)))
        self.stack.callback(line.writer.close)
        return line

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"exhaust_http_connections{name}", labels) or 0.0

    async def wait(self, _call: Call[EmptyBody]) -> Answer:
        self.at_work.release()
        await self.go_on.wait()
        return Answer()

    async def stream(self, _call: Call[EmptyBody]) -> StreamedAnswer:
        async def send(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": str(len(CHUNK) * CHUNKS)})
            await response.prepare(request)
            try:
                for _ in range(CHUNKS):
                    await response.write(CHUNK)
            finally:
                self.stream_ended.set()
            return response

        return StreamedAnswer(send)


@asynccontextmanager
async def listener(limits: ConnectionLimits) -> AsyncIterator[Listener]:
    async with AsyncExitStack() as stack:
        opened = Listener(closed_port(), MetricRegistry(), stack)
        app, metrics = edge_app(), HttpMetrics(MetricRegistry())
        app.add_routes(
            [
                *health_routes(Health()),
                web.post("/wait", endpoint(Operation("wait", "2.0"), EmptyBody, opened.wait, metrics)),
                web.post("/stream", endpoint(Operation("stream", "2.0"), EmptyBody, opened.stream, metrics)),
            ]
        )
        async with open_listener(app, "127.0.0.1", opened.port, ConnectionLimiter(limits, opened.registry)):
            yield opened
            opened.go_on.set()


def assert_refused(reply: RawReply, status: int, code: str) -> None:
    assert (reply.status, reply.json["params"]["err"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["server"] == "telemetry-exhaust"
    assert reply.headers["connection"] == "close"
    assert reply.headers["cache-control"] == "no-store"
    assert ("retry-after" in reply.headers) == (status in {429, 503})


async def drip(line: Line) -> RawReply:
    """Sends a header byte by byte until the server has something to say."""
    answer = asyncio.create_task(read_reply(line.reader))
    line.writer.write(HALF_A_HEAD)
    while not answer.done():
        line.writer.write(b"x")
        await asyncio.wait([answer], timeout=0.02)
    return await answer


async def at_once(line: Line) -> RawReply:
    line.writer.write(HALF_A_HEAD)
    return await read_reply(line.reader)


@pytest.mark.parametrize("send", [drip, at_once])
@pytest.mark.parametrize("requests_before", [0, 2])
async def test_slow_headers_end_the_connection(
    send: Callable[[Line], Awaitable[RawReply]], requests_before: int
) -> None:
    async with listener(ConnectionLimits(header_timeout=SHORT, keep_alive_timeout=LONG)) as opened:
        line = await opened.open()
        for _ in range(requests_before):
            assert (await line.ask()).status == 200
        started = time.monotonic()
        assert_refused(await send(line), 408, "INVALID_DATA_ERROR")
        assert SHORT.total_seconds() * 0.8 < time.monotonic() - started < TIMEOUT_S
        assert await line.closed() == b""
        assert opened.count("_cut_total", why="headers too slow") == 1


async def test_a_silent_connection_is_closed_without_an_answer() -> None:
    async with listener(ConnectionLimits(header_timeout=SHORT, keep_alive_timeout=LONG)) as opened:
        assert await (await opened.open()).closed() == b""


async def test_a_connection_is_kept_alive_for_its_timeout() -> None:
    async with listener(ConnectionLimits(header_timeout=SHORT, keep_alive_timeout=3 * SHORT)) as opened:
        line = await opened.open()
        assert (await line.ask()).status == 200
        started = time.monotonic()
        assert await line.closed() == b""
        assert time.monotonic() - started > 2 * SHORT.total_seconds()
        assert opened.count("") == 0


async def test_the_header_timeout_does_not_apply_to_bodies_and_answers() -> None:
    async with listener(ConnectionLimits(header_timeout=SHORT, keep_alive_timeout=LONG)) as opened:
        line = await opened.open()
        line.writer.write(WAIT[:-2])
        silent = await opened.open()
        await silent.closed()  # so the deadline is over
        line.writer.write(WAIT[-2:])
        await opened.at_work.acquire()
        await (await opened.open()).closed()
        opened.go_on.set()
        assert (await read_reply(line.reader)).status == 200


async def test_too_many_header_bytes_end_the_connection() -> None:
    async with listener(ConnectionLimits(header_timeout=LONG)) as opened:
        line = await opened.open()
        line.writer.write(HALF_A_HEAD)
        for number in range(MAX_HEAD_BYTES // 4096):
            line.writer.write(b"\r\nX-%d: " % number + b"x" * 4096)
            await line.writer.drain()
        assert_refused(await read_reply(line.reader), 431, "INVALID_DATA_ERROR")


async def test_a_full_listener_evicts_the_slowest_and_serves() -> None:
    async with listener(ConnectionLimits(max_connections=4, header_timeout=LONG, keep_alive_timeout=LONG)) as opened:
        busy = await opened.open()
        busy.writer.write(WAIT)
        await opened.at_work.acquire()
        kept = await opened.open()
        assert (await kept.ask()).status == 200
        slow = [await opened.open() for _ in range(2)]
        for line in slow:
            line.writer.write(HALF_A_HEAD)
        await gauge_is(opened, 4)
        assert (await (await opened.open()).ask()).status == 200
        assert await kept.closed() == b""
        assert (await (await opened.open()).ask()).status == 200
        assert_refused(await read_reply(slow[0].reader), 503, "SERVICE_UNAVAILABLE")
        assert opened.count("_cut_total", why="gave way") == 2
        opened.go_on.set()
        assert (await read_reply(busy.reader)).status == 200


async def test_a_connection_with_a_slow_body_is_evicted() -> None:
    async with listener(ConnectionLimits(max_connections=3, keep_alive_timeout=LONG)) as opened:
        busy = await opened.open()
        busy.writer.write(WAIT)
        await opened.at_work.acquire()
        slow = [await opened.open() for _ in range(2)]
        for line in slow:
            assert (await line.ask(EXPECTING)).status == 100
            line.writer.write(b"{")
        for line in slow:
            assert (await (await opened.open()).ask()).status == 200
            assert await line.closed() == b""
        opened.go_on.set()
        assert (await read_reply(busy.reader)).status == 200


async def test_a_connection_with_a_complete_body_is_not_evicted() -> None:
    async with listener(ConnectionLimits(max_connections=1)) as opened:
        line = await opened.open()
        assert (await line.ask(EXPECTING)).status == 100
        line.writer.write(b"{}")
        await opened.at_work.acquire()
        assert_refused(await read_reply((await opened.open()).reader), 503, "SERVICE_UNAVAILABLE")
        opened.go_on.set()
        assert (await read_reply(line.reader)).status == 200


async def test_a_connection_whose_answer_is_not_read_is_evicted() -> None:
    async with listener(ConnectionLimits(max_connections=1, read_window=LONG)) as opened:
        line = await opened.open()
        line.writer.write(STREAM)
        async with asyncio.timeout(TIMEOUT_S):
            while True:  # the first seconds of an answer are nobody's fault
                another = await opened.open()
                if (await another.ask()).status == 200:
                    break
        assert opened.count("_cut_total", why="gave way") == 1
        assert opened.stream_ended.is_set()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await line.reader.readexactly(len(CHUNK) * CHUNKS)


async def gauge_is(opened: Listener, number: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            if opened.count("") == number:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        (ConnectionLimits(max_connections=3), 503, "SERVICE_UNAVAILABLE"),
        (ConnectionLimits(max_per_address=3), 429, "RATE_LIMITED"),
    ],
)
async def test_a_listener_with_busy_connections_only_refuses(limits: ConnectionLimits, status: int, code: str) -> None:
    async with listener(limits) as opened:
        lines = [await opened.open() for _ in range(3)]
        for line in lines:
            line.writer.write(WAIT)
            await opened.at_work.acquire()
        one_more = await opened.open()
        assert_refused(await read_reply(one_more.reader), status, code)
        assert await one_more.closed() == b""
        opened.go_on.set()
        for line in lines:
            assert (await read_reply(line.reader)).status == 200
        assert (await (await opened.open()).ask()).status == 200


async def test_an_address_with_too_many_connections_loses_its_own() -> None:
    async with listener(ConnectionLimits(max_per_address=3, header_timeout=LONG)) as opened:
        others = [await opened.open("127.0.0.3") for _ in range(2)]
        own = [await opened.open("127.0.0.2") for _ in range(3)]
        for line in (*others, *own):
            line.writer.write(HALF_A_HEAD)
        for _ in range(10):
            own.append(await opened.open("127.0.0.2"))
            assert (await own[-1].ask()).status == 200
        assert_refused(await read_reply(own[0].reader), 503, "SERVICE_UNAVAILABLE")
        for line in others:
            assert (await line.ask(b"x\r\n\r\n")).status == 200
        await gauge_is(opened, 5)


async def test_a_caller_who_does_not_read_is_disconnected() -> None:
    async with listener(ConnectionLimits(read_window=SHORT)) as opened:
        line = await opened.open()
        line.writer.write(STREAM)
        async with asyncio.timeout(TIMEOUT_S):
            await opened.stream_ended.wait()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await line.reader.readexactly(len(CHUNK) * CHUNKS)
        assert opened.count("_cut_total", why="answer not read") == 1


async def read_slowly(line: Line) -> None:
    for _ in range(CHUNKS):
        await line.reader.readexactly(len(CHUNK))
        await asyncio.sleep(0.05)  # what makes it a slow reader


async def test_a_caller_who_reads_something_now_and_then_is_disconnected() -> None:
    async with listener(ConnectionLimits(read_window=SHORT, least_read_speed=1_000_000_000)) as opened:
        line = await opened.open()
        line.writer.write(STREAM)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await read_slowly(line)
        assert opened.count("_cut_total", why="answer not read") == 1


async def test_a_caller_who_reads_slowly_gets_everything() -> None:
    async with listener(ConnectionLimits(read_window=SHORT)) as opened:
        line = await opened.open()
        line.writer.write(STREAM)
        await line.reader.readuntil(b"\r\n\r\n")
        started = time.monotonic()
        await read_slowly(line)
        assert time.monotonic() - started > 3 * SHORT.total_seconds()
        assert opened.count("_cut_total", why="answer not read") == 0


@pytest.mark.parametrize(("soft", "hard", "most"), [(64, 2000, 1000), (2000, 2000, 1000), (64, 64, 32)])
def test_connections_are_capped_at_half_of_the_open_files_limit(soft: int, hard: int, most: int) -> None:
    code = f"""
import resource
from exhaust.http.connections import ConnectionLimits, cap_by_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
assert cap_by_open_files(ConnectionLimits(max_connections=10_000)).max_connections == {most}
assert cap_by_open_files(ConnectionLimits(max_connections=7)).max_connections == 7
assert resource.getrlimit(resource.RLIMIT_NOFILE) == ({hard}, {hard})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
