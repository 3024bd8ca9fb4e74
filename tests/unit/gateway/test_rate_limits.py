"""Which address a call comes from, and what it counts against."""

from typing import TYPE_CHECKING, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.rate_limits import REGISTER_PATH, RateLimits, caller_address
from services.gateway.settings import LimitSettings

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, ["203.0.113.9"], "192.0.2.1"),
        (1, [], "192.0.2.1"),
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        (2, ["10.0.0.1, 198.51.100.7", "203.0.113.9"], "198.51.100.7"),
        (3, ["198.51.100.7, 203.0.113.9"], "192.0.2.1"),
        (1, ["nonsense"], "192.0.2.1"),
        (1, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (1, ["2001:DB8:1:2::9"], "2001:db8:1:2::/64"),
        (1, ["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_a_call_comes_from_the_address_that_the_last_trusted_proxy_saw(
    proxies: int, forwarded: list[str], expected: str
) -> None:
    request = make_mocked_request("POST", "/", headers=[("X-Forwarded-For", line) for line in forwarded])
    assert caller_address(request.clone(remote="192.0.2.1"), proxies) == expected


class Listener:
    """A listener whose clock stands still: 5 calls a minute by address, 3 by holder, 2 registrations an hour."""

    def __init__(self) -> None:
        settings = LimitSettings(holder_calls_per_minute=3, address_calls_per_minute=5, registrations_per_hour=2)
        self.limits = RateLimits(settings, lambda: 1000.0)
        app = web.Application()
        self.limits.install(app)
        [self._middleware] = cast("list[Middleware]", list(app.middlewares))
        [self._add_headers] = app.on_response_prepare

    async def call(
        self, path: str = "/", *, method: str = "POST", address: str = "192.0.2.1"
    ) -> tuple[int, str | None]:
        """Return the status and what is left, as the caller reads them."""
        request = make_mocked_request(method, path).clone(remote=address)

        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(status=204)

        response = await self._middleware(request, handler)
        await self._add_headers(request, response)
        return response.status, response.headers.get("RateLimit-Remaining")

    def use_key(self, user_id: int, cost: int = 1) -> str:
        """Count a call against the holder of a key; the refusal, or nothing."""
        try:
            self.limits.check_holder(make_mocked_request("POST", "/"), user_id, cost=cost)
        except ExhaustError as refused:
            assert refused.code is ErrorCode.RATE_LIMITED
            return refused.message
        return ""


async def test_every_call_but_those_of_health_counts_against_its_address() -> None:
    listener = Listener()
    assert [await listener.call() for _ in range(5)] == [(204, str(left)) for left in (4, 3, 2, 1, 0)]
    assert await listener.call() == (429, "0")
    assert await listener.call("/health/ready", method="GET") == (204, None)
    assert await listener.call(address="192.0.2.2") == (204, "4")


async def test_registrations_count_against_a_limit_of_their_own() -> None:
    listener = Listener()
    assert REGISTER_PATH == "/v1/client"
    assert [await listener.call(REGISTER_PATH) for _ in range(3)] == [(204, "1"), (204, "0"), (429, "0")]
    assert await listener.call(REGISTER_PATH, method="GET") == (204, "1")
    assert await listener.call(REGISTER_PATH, address="192.0.2.2") == (204, "1")
    await listener.call()
    # Over the limit of calls, no registration is used up.
    assert await listener.call(REGISTER_PATH) == (429, "0")


def test_a_holder_has_a_limit_whatever_the_address() -> None:
    listener = Listener()
    assert listener.use_key(7, cost=2) == ""
    assert listener.use_key(7) == ""
    assert listener.use_key(7) == "this license key may make 3 calls a minute; try again in 20 s"
    assert listener.use_key(8) == ""
    assert [listener.use_key(9) for _ in range(3)] == [""] * 3
    assert listener.use_key(9)
