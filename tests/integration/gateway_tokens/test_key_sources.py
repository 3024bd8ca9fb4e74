"""Rotated keys, from a file and from a URL whose server may be slow, broken or hostile."""

import asyncio
import gzip
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exhaust.errors import ExhaustError, token_refused
from exhaust.tokens.key_sources import MIN_REFRESH_INTERVAL, REFRESH_AFTER, USABLE_FOR
from exhaust.tokens.verifier import TokenVerifier, open_token_verifier
from tests.integration.gateway_tokens.token_factory import Signer, entry, good_claims, jwks, new_signer, token

ENDLESS = 64 * 1024 * 1024
FIRST, SECOND = new_signer("EdDSA", "first"), new_signer("EdDSA", "other")  # their JWKS have one size


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class JwksServer:
    """A server of a JWKS, or of what `answer` returns."""

    body: bytes = jwks(FIRST)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    base: str = ""
    calls: int = 0
    paths: set[str] = field(default_factory=set)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        self.paths.add(request.path)
        self.called.set()
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(body=self.body, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    serving = JwksServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serving.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    serving.base = f"http://{host}:{port}"
    yield serving
    await runner.cleanup()


@dataclass(frozen=True)
class ClockedVerifier:
    """A verifier of one issuer, with the clock that ages its keys."""

    verifier: TokenVerifier
    clock: Clock

    async def accepts(self, signer: Signer, **header: object) -> bool:
        """Return whether the verifier accepts a token of this key. All refused tokens get the same answer."""
        made = token({"alg": "EdDSA", "kid": signer.kid} | header, good_claims(), signer)
        try:
            await self.verifier.verify(made)
        except ExhaustError as error:
            assert error.message == token_refused().message
            return False
        return True


@asynccontextmanager
async def open_clocked_verifier(folder: Path, source: str) -> AsyncIterator[ClockedVerifier]:
    (folder / "issuers.toml").write_text(entry("EdDSA", source))
    clock = Clock()
    async with open_token_verifier(folder / "issuers.toml", environ={}, clock=clock) as verifier:
        yield ClockedVerifier(verifier, clock)


@pytest.fixture
async def remote(server: JwksServer, tmp_path: Path) -> AsyncIterator[ClockedVerifier]:
    """Open a verifier with keys from the server."""
    async with open_clocked_verifier(tmp_path, f'jwks_url = "{server.base}/jwks.json"') as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(FIRST))
    return path


@pytest.fixture
async def local(file: Path) -> AsyncIterator[ClockedVerifier]:
    """Open a verifier with keys from the file."""
    async with open_clocked_verifier(file.parent, f'jwks_file = "{file.name}"') as opened:
        yield opened


def rewrite(path: Path, content: bytes | None) -> None:
    """Write the file in place; None removes it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


async def test_a_file_is_read_again_when_it_changes(local: ClockedVerifier, file: Path) -> None:
    assert await local.accepts(FIRST)
    for _ in range(5):
        rewrite(file, jwks(SECOND))
        assert not await local.accepts(FIRST)
        assert await local.accepts(SECOND)
        rewrite(file, jwks(FIRST))
        assert await local.accepts(FIRST)
        assert not await local.accepts(SECOND)


async def test_a_file_that_changes_within_the_resolution_of_mtime_is_read_again(
    local: ClockedVerifier, file: Path
) -> None:
    tick = time.time_ns() + 3600 * 10**9  # not yet over
    for signer, other in ((FIRST, SECOND), (SECOND, FIRST)):
        rewrite(file, jwks(signer))
        os.utime(file, ns=(tick, tick))
        assert await local.accepts(signer)
        assert not await local.accepts(other)


async def test_a_file_may_be_replaced(local: ClockedVerifier, file: Path) -> None:
    assert await local.accepts(FIRST)
    file.with_suffix(".new").write_bytes(jwks(FIRST, SECOND))
    file.with_suffix(".new").replace(file)
    assert await local.accepts(SECOND)
    assert await local.accepts(FIRST)


@pytest.mark.parametrize("content", [None, b"", b"junk", b'{"keys": []}', b" " * 300_000])
async def test_the_last_keys_serve_for_a_day_after_a_file_breaks(
    content: bytes | None, local: ClockedVerifier, file: Path
) -> None:
    assert await local.accepts(FIRST)
    rewrite(file, content)
    assert await local.accepts(FIRST)
    local.clock.now += USABLE_FOR.total_seconds()
    assert await local.accepts(FIRST)
    local.clock.now += 1
    assert not await local.accepts(FIRST)
    rewrite(file, jwks(SECOND))
    assert await local.accepts(SECOND)


async def test_an_unchanged_file_serves_forever(local: ClockedVerifier) -> None:
    for _ in range(3):
        assert await local.accepts(FIRST)
        local.clock.now += 2 * USABLE_FOR.total_seconds()


async def test_keys_are_fetched_once_for_many_tokens(remote: ClockedVerifier, server: JwksServer) -> None:
    assert await asyncio.gather(*(remote.accepts(FIRST) for _ in range(50))) == [True] * 50
    remote.clock.now += REFRESH_AFTER.total_seconds() - 1
    assert await remote.accepts(FIRST)
    assert server.calls == 1
    assert server.paths == {"/jwks.json"}


async def test_a_token_of_a_new_key_causes_a_fetch(remote: ClockedVerifier, server: JwksServer) -> None:
    assert await remote.accepts(FIRST)
    server.body = jwks(SECOND)
    remote.clock.now += MIN_REFRESH_INTERVAL.total_seconds()
    assert await remote.accepts(SECOND)
    assert not await remote.accepts(FIRST)
    assert server.calls == 2


async def test_a_withdrawn_key_is_refused_after_the_refresh(remote: ClockedVerifier, server: JwksServer) -> None:
    assert await remote.accepts(FIRST)
    server.body = jwks(SECOND)
    remote.clock.now += REFRESH_AFTER.total_seconds()
    assert not await remote.accepts(FIRST)
    assert server.calls == 2


async def test_unknown_key_ids_do_not_flood_the_issuer(remote: ClockedVerifier, server: JwksServer) -> None:
    assert await remote.accepts(FIRST)
    for number in range(100):
        assert not await remote.accepts(FIRST, kid=f"made up {number}")
    assert server.calls == 1
    remote.clock.now += MIN_REFRESH_INTERVAL.total_seconds()
    made_up = (remote.accepts(FIRST, kid=f"made up {number}") for number in range(50))
    assert await asyncio.gather(*made_up) == [False] * 50
    assert server.calls == 2
    assert await remote.accepts(FIRST)


async def test_a_url_in_a_token_is_never_fetched(remote: ClockedVerifier, server: JwksServer) -> None:
    attacker = new_signer("EdDSA", "attacker")
    for name in ("jku", "x5u"):
        assert not await remote.accepts(attacker, **{name: f"{server.base}/attacker.json"})
    assert "/attacker.json" not in server.paths


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def hang_in_the_middle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"keys": [')
    return await hang(request)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys": [')
    assert request.transport is not None
    request.transport.abort()
    return response


async def not_http(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    request.transport.close()
    return web.Response()


async def elsewhere(request: web.Request) -> web.StreamResponse:
    if request.path == "/moved.json":
        return web.Response(body=jwks(FIRST))
    raise web.HTTPFound("/moved.json")


async def bomb(_: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})


def saying(body: bytes, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status)

    return answer


BROKEN = {
    "404": saying(jwks(FIRST), 404),
    "500": saying(jwks(FIRST), 500),
    "204": saying(b"", 204),
    "moved": elsewhere,
    "HTML": saying(b"<html></html>"),
    "no keys": saying(b'{"keys": []}'),
    "51 keys": saying(jwks(*(Signer("EdDSA", FIRST.private, f"k{number}") for number in range(51)))),
    "too large": saying(jwks(FIRST) + b" " * 262_144),
    "endless": endless,
    "packed": bomb,
    "cut": cut,
    "not HTTP": not_http,
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_server_gives_no_keys_and_removes_none(
    kind: str, remote: ClockedVerifier, server: JwksServer
) -> None:
    server.answer = BROKEN[kind]
    assert not await remote.accepts(FIRST)
    server.answer = None
    remote.clock.now += MIN_REFRESH_INTERVAL.total_seconds()
    assert await remote.accepts(FIRST)
    server.answer = BROKEN[kind]
    calls = server.calls
    remote.clock.now += USABLE_FOR.total_seconds()
    assert await remote.accepts(FIRST)
    assert server.calls > calls
    remote.clock.now += 1
    assert not await remote.accepts(FIRST)
    assert "/moved.json" not in server.paths


async def test_an_endless_answer_is_cut_off_at_the_size_limit(remote: ClockedVerifier, server: JwksServer) -> None:
    sent = 0
    cut_off = asyncio.Event()

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < ENDLESS:
                await response.write(b" " * 65_536)
                sent += 65_536
        finally:
            cut_off.set()
        return response

    server.answer = count
    assert not await remote.accepts(FIRST)
    await asyncio.wait_for(cut_off.wait(), 30)
    assert sent < ENDLESS  # what the two sockets take in, not more


@pytest.mark.parametrize("slow", [hang, hang_in_the_middle])
async def test_a_fetch_from_a_hanging_server_times_out(
    slow: Callable[[web.Request], Awaitable[web.StreamResponse]], remote: ClockedVerifier, server: JwksServer
) -> None:
    server.answer = slow
    async with asyncio.timeout(60):
        assert not await remote.accepts(FIRST)
    server.answer = None
    remote.clock.now += MIN_REFRESH_INTERVAL.total_seconds()
    assert await remote.accepts(FIRST)


async def test_tokens_of_known_keys_do_not_wait_during_an_outage(remote: ClockedVerifier, server: JwksServer) -> None:
    assert await remote.accepts(FIRST)
    server.answer = saying(b"", 500)
    remote.clock.now += REFRESH_AFTER.total_seconds()
    assert await remote.accepts(FIRST)
    released = asyncio.Event()

    async def held_back(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(body=jwks(SECOND))

    server.answer = held_back
    server.called.clear()
    remote.clock.now += MIN_REFRESH_INTERVAL.total_seconds()
    assert await remote.accepts(FIRST)
    await asyncio.wait_for(server.called.wait(), 30)
    assert await remote.accepts(FIRST)
    released.set()
    assert await remote.accepts(SECOND)
    assert not await remote.accepts(FIRST)


async def test_a_cancelled_caller_does_not_cancel_the_fetch_of_the_others(
    remote: ClockedVerifier, server: JwksServer
) -> None:
    released = asyncio.Event()

    async def held_back(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(body=jwks(FIRST))

    server.answer = held_back
    gone, stays = (asyncio.create_task(remote.accepts(FIRST)) for _ in range(2))
    await asyncio.wait_for(server.called.wait(), 30)
    gone.cancel()
    await asyncio.wait([gone])
    assert gone.cancelled()
    released.set()
    assert await stays
    assert server.calls == 1


async def test_closing_cancels_the_fetch(server: JwksServer, tmp_path: Path) -> None:
    server.answer = hang
    with capture_logs() as lines:
        async with open_clocked_verifier(tmp_path, f'jwks_url = "{server.base}/jwks.json"') as opened:
            waiting = asyncio.create_task(opened.accepts(FIRST))
            await asyncio.wait_for(server.called.wait(), 30)
        assert not await asyncio.wait_for(waiting, 30)
    assert "jwks.fetch_failed" not in {line["event"] for line in lines}  # it did not wait for the deadline


async def test_an_unreachable_url_does_not_stop_the_start(tmp_path: Path) -> None:
    async with open_clocked_verifier(tmp_path, 'jwks_url = "http://127.0.0.1:1/jwks.json"') as opened:
        assert not await opened.accepts(FIRST)
