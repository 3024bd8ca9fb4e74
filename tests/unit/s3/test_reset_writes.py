"""The loop tells of every task that failed unseen, but of the writes that aiohttp forgets after a reset."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import aiohttp
import pytest

from exhaust.s3.driver import ignore_reset_writes


class ClientRequest:
    """Named like aiohttp's, so that its coroutine is."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def write_bytes(self) -> None:
        raise self._error


async def read_bytes() -> None:
    raise aiohttp.ClientConnectionResetError("reset")


async def complaints(*work: Any) -> list[BaseException]:
    """What the loop says of tasks that nobody looks at."""
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    ignore_reset_writes(loop)
    try:
        tasks = [asyncio.ensure_future(each) for each in work]
        await asyncio.wait(tasks)
        tasks.clear()
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    return told


async def test_a_write_after_a_reset_is_not_told() -> None:
    assert await complaints(ClientRequest(aiohttp.ClientConnectionResetError("reset")).write_bytes()) == []


@pytest.mark.parametrize(
    "work", [lambda: ClientRequest(ValueError("a defect")).write_bytes(), read_bytes], ids=["defect", "other task"]
)
async def test_whatever_else_fails_unseen_is_told(work: Any) -> None:
    [error] = await complaints(work())
    assert isinstance(error, ValueError | aiohttp.ClientConnectionResetError)


async def test_without_a_handler_of_the_application_the_loop_tells(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    ignore_reset_writes(loop)
    try:
        task = asyncio.ensure_future(read_bytes())
        await asyncio.wait({task})
        del task
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert "never retrieved" in caplog.text


def test_aiohttp_still_calls_it_so() -> None:
    assert aiohttp.ClientRequest.write_bytes.__qualname__ == ClientRequest.write_bytes.__qualname__
