"""Token buckets, which count the calls that each caller may still make. A costly call takes several.

Buckets live in the memory of one gateway: with N gateways behind a balancer, a caller may have up to N times the rate.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BUCKETS: Final = 100_000
MINUTE: Final = timedelta(minutes=1)
ROUNDING: Final = 1e-6  # of a call or a second: a caller who waits as told must not be refused for a rounding error


@dataclass(frozen=True, slots=True)
class Allowance:
    """The calls that are left to a caller.

    Attributes:
        limit: calls a period.
        remaining: calls that may follow without a pause.
        reset_seconds: the time until the bucket is full again; after a refusal, until the next call is allowed.
    """

    limit: int
    remaining: int
    reset_seconds: int
    allowed: bool

    def headers(self) -> Mapping[str, str]:
        """Return the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-03), and Retry-After for a refusal."""
        headers = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }
        return headers if self.allowed else headers | {"Retry-After": str(self.reset_seconds)}


class TokenBuckets:
    """A bucket for each caller. It holds a period's worth of calls and fills evenly."""

    def __init__(
        self,
        limit: int,
        clock: Callable[[], float],
        *,
        period: timedelta = MINUTE,
        max_buckets: int = MAX_BUCKETS,
    ) -> None:
        """Prepare.

        Args:
            limit: calls a period, at least 1.
            clock: monotonic seconds.
            period: in which an empty bucket fills.
            max_buckets: callers to remember; the one whose last call is longest ago is forgotten first.
        """
        self._limit = limit
        self._rate = limit / period.total_seconds()
        self._clock = clock
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of callers that are remembered."""
        return len(self._buckets)

    def check(self, key: str, cost: int = 1) -> Allowance:
        """Take what a call costs from a caller's bucket; a call that is refused takes nothing.

        A call that costs more than a bucket holds takes a full one.
        """
        cost = min(cost, self._limit)
        now = self._clock()
        level, seen = self._buckets.pop(key, (float(self._limit), now))
        level = min(self._limit, level + (now - seen) * self._rate)
        allowed = level >= cost - ROUNDING
        if allowed:
            level -= cost
        self._buckets[key] = (level, now)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        missing = self._limit - level if allowed else cost - level
        return Allowance(self._limit, int(level), max(1, math.ceil(missing / self._rate - ROUNDING)), allowed)
