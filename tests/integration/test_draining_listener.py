"""A listener that drains: it answers, for the last time on each connection, and finishes what it began."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from exhaust.http.app import edge_app
from exhaust.http.listener import open_listener
from tests.support.s3_proxy import closed_port

DEADLINE_S = 20


async def test_answers_close_their_connections_while_draining_and_not_before() -> None:
    draining, began, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fast(_request: web.Request) -> web.Response:
        return web.Response()

    async def slow(_request: web.Request) -> web.Response:
        began.set()
        await go_on.wait()
        return web.Response()

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a part")
        return response

    app = edge_app()
    app.add_routes([web.get("/fast", fast), web.get("/slow", slow), web.get("/streamed", streamed)])
    port = closed_port()
    async with (
        asyncio.timeout(DEADLINE_S),
        open_listener(app, "127.0.0.1", port, draining=draining),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        async with http.get("/fast") as answer:
            assert "Connection" not in answer.headers
        under_way = asyncio.create_task(_connection_header(http, "/slow"))
        await began.wait()
        draining.set()
        assert [await _connection_header(http, path) for path in ("/fast", "/streamed", "/missing")] == ["close"] * 3
        go_on.set()
        assert await under_way == "close"


@pytest.mark.parametrize("in_time", [True, False])
async def test_calls_under_way_have_their_time_when_the_listener_closes(*, in_time: bool) -> None:
    began = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        began.set()
        await asyncio.sleep(0.3 if in_time else DEADLINE_S)  # a call that takes so long
        return web.Response(text="answered")

    app = edge_app()
    app.add_routes([web.get("/slow", slow)])
    port = closed_port()
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        finish_within = timedelta(seconds=10 if in_time else 0.2)
        async with open_listener(app, "127.0.0.1", port, finish_within=finish_within):
            under_way = asyncio.create_task(_text(http, "/slow"))
            await began.wait()
        if in_time:
            assert await under_way == "answered"
        else:
            with pytest.raises(aiohttp.ClientConnectionError):
                await under_way


async def _connection_header(http: aiohttp.ClientSession, path: str) -> str | None:
    async with http.get(path) as answer:
        await answer.read()
        return answer.headers.get("Connection")


async def _text(http: aiohttp.ClientSession, path: str) -> str:
    async with http.get(path) as answer:
        return await answer.text()
