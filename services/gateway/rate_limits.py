"""The rate limits of the public listener, by address and by holder of a license key; of registrations, by address.

Every call counts against its address, and against the holder of a license key only when it has shown the key. So
somebody who guesses keys uses up the limit of an address, never that of a key's holder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.connections import client_network
from exhaust.http.error_responses import UNKNOWN_OPERATION, error_response
from services.gateway.token_buckets import Allowance, TokenBuckets

if TYPE_CHECKING:
    from services.gateway.settings import LimitSettings

ErrorAnswer = Callable[[web.Request, ExhaustError], web.Response]
REGISTER_PATH: Final = "/v1/client"
_HOUR: Final = timedelta(hours=1)
_ALLOWANCE: Final = web.RequestKey("allowance", Allowance)


class RateLimits:
    """The rate limits of one public listener."""

    def __init__(self, settings: LimitSettings, clock: Callable[[], float]) -> None:
        """Prepare; the clock gives monotonic seconds."""
        self._holders = TokenBuckets(settings.holder_calls_per_minute, clock)
        self._addresses = TokenBuckets(settings.address_calls_per_minute, clock)
        self._registrations = TokenBuckets(settings.registrations_per_hour, clock, period=_HOUR)
        self._proxies = settings.trusted_proxies
        self._answers: dict[str, ErrorAnswer] = {}

    def install(self, app: web.Application) -> None:
        """Limit every call of a listener by its address, and add the RateLimit headers to every answer."""
        app.middlewares.append(self._by_address)
        app.on_response_prepare.append(_add_headers)

    def answer_below(self, prefix: str, answer: ErrorAnswer) -> None:
        """Answer a call too many at paths below a prefix in another way than by the envelope."""
        self._answers[prefix] = answer

    def check_holder(self, request: web.Request, user_id: int, *, cost: int = 1) -> None:
        """Count a call against the holder of a valid key or token.

        Args:
            request: the call.
            user_id: the holder.
            cost: the calls that it counts as, by the work that it makes.

        Raises:
            ExhaustError: RATE_LIMITED.
        """
        allowance = self._holders.check(str(user_id), cost)
        request[_ALLOWANCE] = allowance
        if not allowance.allowed:
            raise _too_many(f"this license key may make {allowance.limit} calls a minute", allowance)

    @web.middleware
    async def _by_address(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/health/"):  # a load balancer asks often and must not read 429 as ill health
            return await handler(request)
        address = caller_address(request, self._proxies)
        allowance, what = self._addresses.check(address), "make {} calls a minute"
        if allowance.allowed and request.method == "POST" and request.path == REGISTER_PATH:
            allowance, what = self._registrations.check(address), "register {} times an hour"
        request[_ALLOWANCE] = allowance
        if not allowance.allowed:
            error = _too_many(f"this address may {what.format(allowance.limit)}", allowance)
            return self._answer(request, error)
        return await handler(request)

    def _answer(self, request: web.Request, error: ExhaustError) -> web.Response:
        for prefix, answer in self._answers.items():
            if f"{request.path}/".startswith(f"{prefix}/"):
                return answer(request, error)
        return error_response(request, UNKNOWN_OPERATION, "", error)


def caller_address(request: web.BaseRequest, proxies: int) -> str:
    """Return the address that a call comes from; of IPv6 the /64 network, which one subscriber has.

    Args:
        request: the call.
        proxies: how many trusted proxies stand before the gateway.
    """
    hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
    # Entries further left come from the caller, who may write anything.
    text = hops[-proxies] if 0 < proxies <= len(hops) else request.remote or ""
    return client_network(text) or request.remote or ""


def _too_many(what: str, allowance: Allowance) -> ExhaustError:
    return ExhaustError(ErrorCode.RATE_LIMITED, f"{what}; try again in {allowance.reset_seconds} s")


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    allowance = request.get(_ALLOWANCE)
    if allowance is not None:
        response.headers.update(allowance.headers())
