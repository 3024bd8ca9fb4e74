"""The limits of submits and retries: a partner's open requests, and what is built for one license key on a day."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.key_usage import KeyUsage
from exhaust.postgres.requests import Exceeded

if TYPE_CHECKING:
    from uuid import UUID

    from exhaust.postgres.database import Connection
    from exhaust.postgres.requests import Limits

_PRESENT: Final = """
SELECT (
    SELECT count(*) FROM (
        SELECT FROM requests o
        WHERE o.partner_resource = r.partner_resource AND o.state IN ('submitted', 'inprogress') LIMIT $2::bigint
    ) found
) AS requests, u.day, u.days_built, u.bytes_built, (u.day + 1)::timestamp AT TIME ZONE 'UTC' - now() AS ends_in
FROM requests r
LEFT JOIN key_usage u ON u.user_id = r.user_id AND u.day = (now() AT TIME ZONE 'UTC')::date
WHERE r.request_id = $1
"""


async def check_limits(connection: Connection, request_id: UUID, limits: Limits) -> None:
    """Check that a request that has ended may be opened again, by the limits of its partner and its submitter.

    Raises:
        ExhaustError: RATE_LIMITED, which names the limit.
    """
    row = await connection.fetch_one(_PRESENT, request_id, limits.open_requests)
    if row is None:
        return
    built = KeyUsage(row["day"], row["days_built"], row["bytes_built"], row["ends_in"]) if row["day"] else None
    used_up = built and (built.days_built >= limits.days_built or built.bytes_built >= limits.bytes_built)
    if used_up or row["requests"] >= limits.open_requests:
        raise limit_error(limits, Exceeded(row["requests"], built))


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
