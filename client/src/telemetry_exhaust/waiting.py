"""Submits a request and waits for its end."""

from __future__ import annotations

import math
import time
import uuid
from typing import TYPE_CHECKING, Callable, Final

from telemetry_exhaust.api import WAIT_SECONDS
from telemetry_exhaust.errors import RequestFailedError, StillRunningError, TimedOutError
from telemetry_exhaust.intent import idempotency_key

if TYPE_CHECKING:
    from telemetry_exhaust.api import Api, Wanted
    from telemetry_exhaust.profile import Profile
    from telemetry_exhaust.status import Status

CANCELLED: Final = "CANCELLED"
_SHORTEST_TURN: Final = 1.0  # seconds; a gateway that answers a wait at once is not asked without end
_FIRST_LOOK: Final = 2.0  # seconds between two looks while somebody watches the bar, who soon loses interest
_LOOKS: Final = 10  # as many looks while the waiting takes ten times as long

Progress = Callable[["Status"], None]


def submit(api: Api, profile: Profile, wanted: Wanted) -> Status:
    """Submit what is wanted, and return how the request stands.

    The request of an earlier call is taken up again, unless it has failed or its download is gone.

    Raises:
        ExhaustError: the gateway refuses it, or cannot be reached.
    """
    status = api.status(api.submit(wanted, idempotency_key(profile, wanted)))
    if status.state != "failed" and not status.expired:
        return status
    # That one may be of a call hours ago. An identical request in progress is never doubled: a fresh key does no harm.
    return api.status(api.submit(wanted, f"exhaust-{uuid.uuid4()}"))


def wait(api: Api, status: Status, progress: Progress, *, within: float | None = None, watched: bool = False) -> Status:
    """Wait for the end of a request, and return how it ended.

    Args:
        progress: is told each state on the way.
        within: seconds to wait at most; without it there is no end.
        watched: somebody looks at the progress, which then is asked for more often.

    Raises:
        StillRunningError: it has not ended within this time.
    """
    started = time.monotonic()
    end = None if within is None else started + within
    progress(status)
    while not status.ended:
        left = WAIT_SECONDS if end is None else end - time.monotonic()
        if left <= 0:
            raise StillRunningError(f"request {status.request} is still running; the same command goes on with it")
        turn = time.monotonic()
        if watched:
            left = min(left, max(_FIRST_LOOK, (turn - started) / _LOOKS))
        status = api.status(status.request, wait=max(1, math.ceil(left)))
        progress(status)
        if not status.ended:
            time.sleep(max(0.0, _SHORTEST_TURN - (time.monotonic() - turn)))
    return status


def check_complete(status: Status) -> None:
    """Return when a request has ended well.

    Raises:
        TimedOutError: it was cancelled.
        RequestFailedError: it has failed, or its download is gone.
    """
    if status.error_code == CANCELLED:
        raise TimedOutError(f"request {status.request} was cancelled; run the same command to ask anew", code=CANCELLED)
    if status.state != "complete":
        why = f"{status.error_code}: {status.error_message}" if status.error_code else "for a reason that is not told"
        rest = "; `exhaust get --partial` gets the days that did not fail" if status.partial_url else ""
        raise RequestFailedError(
            f"request {status.request} failed: {why}{rest}",
            code=status.error_code,
            help_page=status.error_help,
            retryable=status.error_retryable,
        )
    if status.url is None:
        raise RequestFailedError(f"the download of request {status.request} is gone; run the same command to ask anew")
