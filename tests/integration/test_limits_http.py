"""The limits on a listener: what callers are told, and that guessing keys harms only the guesser."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.error_responses import UNKNOWN_OPERATION, error_response
from exhaust.http.listener import open_listener
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from tests.support.s3_proxy import closed_port

HOLDER = 7


@pytest.fixture
async def base() -> AsyncIterator[str]:
    """A listener: 5 calls a minute by address, 3 by holder; a proxy stands before it. Its clock stands still."""
    limits = RateLimits(
        LimitSettings(holder_calls_per_minute=3, address_calls_per_minute=5, trusted_proxies=1), lambda: 1000.0
    )

    async def operation(request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Key") != "right":
            wrong = ExhaustError(ErrorCode.LOGIN_FAILED, "the license key is invalid")
            return error_response(request, UNKNOWN_OPERATION, "", wrong)
        try:
            limits.check_holder(request, HOLDER)
        except ExhaustError as error:
            return error_response(request, UNKNOWN_OPERATION, "", error)
        streamed = web.StreamResponse()
        await streamed.prepare(request)
        await streamed.write_eof(b"ok")
        return streamed

    async def busy(request: web.Request) -> web.StreamResponse:
        return error_response(
            request, UNKNOWN_OPERATION, "", ExhaustError(ErrorCode.RATE_LIMITED, "too many open requests")
        )

    app = web.Application()
    limits.install(app)
    app.add_routes([web.get("/", operation), web.get("/busy", busy), web.get("/health/ready", busy)])
    port = closed_port()
    async with open_listener(app, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


async def call(base: str, address: str, key: str = "right", path: str = "/") -> tuple[int, Mapping[str, str]]:
    headers = {"X-Forwarded-For": address, "X-Key": key}
    async with aiohttp.ClientSession() as session, session.get(base + path, headers=headers) as answer:
        body = await answer.read()
        if answer.status == 429:
            assert b'"err":"RATE_LIMITED"' in body
        return answer.status, dict(answer.headers)


def told(headers: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(headers.get(name) for name in ("RateLimit-Limit", "RateLimit-Remaining", "Retry-After"))


async def test_rate_limit_headers_are_in_every_answer_streamed_ones_too(base: str) -> None:
    answers = [await call(base, f"192.0.2.{number}") for number in range(1, 5)]
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert [told(headers) for _, headers in answers] == [
        ("3", "2", None),
        ("3", "1", None),
        ("3", "0", None),
        ("3", "0", "20"),
    ]


async def test_guessed_keys_count_against_the_address_alone(base: str) -> None:
    guesses = [await call(base, "198.51.100.1", key="wrong") for _ in range(6)]
    assert [status for status, _ in guesses] == [401] * 5 + [429]
    assert told(guesses[0][1]) == ("5", "4", None)
    assert told(guesses[-1][1]) == ("5", "0", "12")
    assert (await call(base, "198.51.100.1"))[0] == 429
    status, headers = await call(base, "192.0.2.1")
    assert (status, told(headers)) == (200, ("3", "2", None))


async def test_health_is_not_limited_and_every_refusal_says_when_to_come_back(base: str) -> None:
    assert {(await call(base, "192.0.2.1", path="/health/ready"))[1].get("RateLimit-Limit") for _ in range(9)} == {None}
    status, headers = await call(base, "192.0.2.1", path="/busy")
    assert status == 429
    assert int(headers["Retry-After"]) > 0
