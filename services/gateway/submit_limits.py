"""The limits of submits: the open requests of a partner, and what is built for one license key on a day."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.requests import Limits

if TYPE_CHECKING:
    from exhaust.postgres.key_usage import KeyUsage
    from exhaust.postgres.requests import Exceeded
    from services.gateway.settings import LimitSettings


def submit_limits(settings: LimitSettings) -> Limits:
    """Return the limits of the settings."""
    return Limits(
        settings.max_open_requests_per_partner, settings.max_days_built_per_key, settings.max_bytes_built_per_key
    )


def limit_error(limits: Limits, exceeded: Exceeded) -> ExhaustError:
    """Return the error that names the limit which refuses a request, and when to try again. A quota comes first."""
    built = exceeded.built
    if built is not None and built.days_built >= limits.days_built:
        return _used_up("days", built.days_built, limits.days_built, built)
    if built is not None and built.bytes_built >= limits.bytes_built:
        return _used_up("bytes", built.bytes_built, limits.bytes_built, built)
    return ExhaustError(
        ErrorCode.RATE_LIMITED,
        f"this partner has {limits.open_requests} requests in progress, which is the most allowed; try again when one"
        " is done",
    )


def _used_up(what: str, used: int, most: int, built: KeyUsage) -> ExhaustError:
    ends = built.day + timedelta(days=1)
    return ExhaustError(
        ErrorCode.RATE_LIMITED,
        f"too much was built for this license key today: its quota of {what} built is {most:,} a day, and {used:,}"
        f" were; submit again from {ends}T00:00:00Z on",
        headers={"Retry-After": str(max(1, math.ceil(built.ends_in.total_seconds())))},
    )
