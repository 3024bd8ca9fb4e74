"""How much one caller may ask for: token buckets, open requests of a partner, and who may register.

Buckets live in the memory of one gateway: with N gateways behind a balancer, a caller may have up to N times the rate.
An address pays for every call, a holder of a license key only for calls that proved to hold it: whoever guesses keys
empties the bucket of an address, never that of a key's holder.
"""

from __future__ import annotations

import hmac
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from aiohttp import web
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.connections import subscriber
from exhaust.http.endpoint import UNKNOWN_OPERATION, error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from exhaust.postgres.database import Connection

MAX_BUCKETS: Final = 100_000
MINUTE_S: Final = 60.0
MIN_TOKEN_LENGTH: Final = 16
ROUNDING: Final = 1e-6  # of a call or a second: whoever waits as long as told must not meet the error of a float
OPEN: Final = """
SELECT count(*) AS open FROM (
    SELECT FROM requests WHERE partner_id = $1 AND state IN ('submitted', 'inprogress') LIMIT $2
) found
"""


class LimitSettings(BaseSettings):
    """The limits of the public listener.

    Attributes:
        trusted_proxies: how many proxies stand before the gateway; that entry of X-Forwarded-For, counted from its
            end, is the caller's address. 0 takes the connection's.
    """

    model_config = SettingsConfigDict(env_prefix="EXHAUST_", frozen=True, hide_input_in_errors=True, extra="ignore")

    holder_calls_per_minute: Annotated[int, Field(ge=1)] = 6000
    address_calls_per_minute: Annotated[int, Field(ge=1)] = 12_000
    max_open_requests_per_partner: Annotated[int, Field(ge=1)] = 200
    trusted_proxies: Annotated[int, Field(ge=0)] = 0
    registration: Literal["open", "token", "closed"] = "open"
    registration_token: Annotated[SecretStr, Field(min_length=MIN_TOKEN_LENGTH)] | None = None

    @model_validator(mode="after")
    def _token_is_there(self) -> Self:
        if self.registration == "token" and self.registration_token is None:
            raise ValueError("EXHAUST_REGISTRATION is token, so EXHAUST_REGISTRATION_TOKEN must be set too")
        return self


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a caller.

    Attributes:
        limit: calls a minute.
        remaining: calls that may follow at once.
        reset_seconds: until everything is there again; when refused, until the next call is allowed.
    """

    limit: int
    remaining: int
    reset_seconds: int
    allowed: bool

    def headers(self) -> Mapping[str, str]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers-03), and when to come back after a refusal."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }
        return told if self.allowed else told | {"Retry-After": str(self.reset_seconds)}


_ALLOWANCE: Final = web.RequestKey("allowance", Allowance)


class TokenBuckets:
    """A bucket for each caller. It holds a minute's worth of calls and fills evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float], *, max_buckets: int = MAX_BUCKETS) -> None:
        """Prepare.

        Args:
            per_minute: calls, at least 1.
            clock: seconds, never going back.
            max_buckets: callers to remember; the one that has been quiet longest is forgotten first.
        """
        self._limit = per_minute
        self._rate = per_minute / MINUTE_S
        self._clock = clock
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Callers that are remembered."""
        return len(self._buckets)

    def check(self, key: str) -> Allowance:
        """Take one call out of a caller's bucket, if it holds one; a refused call costs nothing."""
        now = self._clock()
        level, seen = self._buckets.pop(key, (float(self._limit), now))
        level = min(self._limit, level + (now - seen) * self._rate)
        allowed = level >= 1 - ROUNDING
        if allowed:
            level -= 1
        self._buckets[key] = (level, now)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        missing = self._limit - level if allowed else 1 - level
        return Allowance(self._limit, int(level), max(1, math.ceil(missing / self._rate - ROUNDING)), allowed)


class Limits:
    """The limits of one public listener."""

    def __init__(self, settings: LimitSettings, clock: Callable[[], float]) -> None:
        """Prepare; the clock gives seconds and never goes back."""
        self._holders = TokenBuckets(settings.holder_calls_per_minute, clock)
        self._addresses = TokenBuckets(settings.address_calls_per_minute, clock)
        self._proxies = settings.trusted_proxies

    def install(self, app: web.Application) -> None:
        """Limit every call of a listener by its address, and tell each caller what is left."""
        app.middlewares.append(self._by_address)
        app.on_response_prepare.append(_tell)

    def check_holder(self, request: web.Request, user_id: int) -> None:
        """Count a call of somebody who has shown a valid key or token.

        Raises:
            ExhaustError: RATE_LIMITED.
        """
        allowance = self._holders.check(str(user_id))
        request[_ALLOWANCE] = allowance
        if not allowance.allowed:
            raise _too_many(f"this license key may make {allowance.limit} calls a minute", allowance)

    @web.middleware
    async def _by_address(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/health/"):  # a balancer asks often, and must not be told that we are ill
            return await handler(request)
        allowance = self._addresses.check(caller_address(request, self._proxies))
        request[_ALLOWANCE] = allowance
        if not allowance.allowed:
            error = _too_many(f"this address may make {allowance.limit} calls a minute", allowance)
            return error_response(request, UNKNOWN_OPERATION, "", error)
        return await handler(request)


def caller_address(request: web.BaseRequest, proxies: int) -> str:
    """The address that a call comes from; of IPv6 the /64 network, which is what one subscriber has.

    Args:
        request: the call.
        proxies: how many trusted ones stand before the gateway.
    """
    hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
    # What stands further left was written by the caller, who may write anything.
    text = hops[-proxies] if 0 < proxies <= len(hops) else request.remote or ""
    return subscriber(text) or request.remote or ""


def check_registration(settings: LimitSettings, headers: Mapping[str, str]) -> None:
    """Whether a caller may register.

    Args:
        settings: open, token or closed.
        headers: with `Authorization: Bearer <registration token>` where one is needed.

    Raises:
        ExhaustError: AUTHORIZATION_FAILED when registration is closed, LOGIN_FAILED without the token.
    """
    if settings.registration == "closed":
        raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "registration is closed; ask the operator for a license key")
    if settings.registration == "token" and settings.registration_token is not None:
        expected = f"Bearer {settings.registration_token.get_secret_value()}".encode()
        given = headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, expected):
            raise ExhaustError(
                ErrorCode.LOGIN_FAILED, "registration needs the operator's registration token as a bearer token"
            )


async def check_open_requests(connection: Connection, partner_id: str, maximum: int) -> None:
    """Refuse a request that is one too many, after it was written in the same transaction.

    Submits at the same instant do not see one another: a partner can pass the maximum by as many as are under way.

    Raises:
        ExhaustError: RATE_LIMITED.
    """
    row = await connection.fetch_one(OPEN, partner_id, maximum + 1)
    if row is not None and row["open"] > maximum:
        raise ExhaustError(
            ErrorCode.RATE_LIMITED,
            f"this partner has {maximum} requests in progress, which is the most allowed; try again when one is done",
        )


def _too_many(what: str, allowance: Allowance) -> ExhaustError:
    return ExhaustError(ErrorCode.RATE_LIMITED, f"{what}; try again in {allowance.reset_seconds} s")


async def _tell(request: web.Request, response: web.StreamResponse) -> None:
    allowance = request.get(_ALLOWANCE)
    if allowance is not None:
        response.headers.update(allowance.headers())
