"""Token buckets: how many calls each caller may still make.

Buckets live in the memory of one gateway: with N gateways behind a balancer, a caller may have up to N times the rate.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BUCKETS: Final = 100_000
MINUTE_S: Final = 60.0
ROUNDING: Final = 1e-6  # of a call or a second: whoever waits as long as told must not meet the error of a float


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
