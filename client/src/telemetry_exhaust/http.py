"""HTTP calls with a deadline, which are repeated while a server asks for patience or does not answer.

Calls of this package may be repeated: reads change nothing, submits carry an Idempotency-Key, and to cancel twice is to
cancel once. The one that may not, the registration of a webhook, says so.
"""

from __future__ import annotations

import json
import random
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from telemetry_exhaust.connections import open_pool, proxy_for
from telemetry_exhaust.errors import ExhaustError, TimedOutError, UsageError
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse
    from urllib3.poolmanager import PoolManager

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0  # longer than the longest wait of a status
DEADLINE_SECONDS: Final = 120.0  # of a call with its repetitions
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 10.0
_PATIENCE: Final = frozenset({429, 502, 503, 504})
_NO_TIME: Final = 0.0


class Http:
    """Calls to a gateway and to the store behind its links."""

    def __init__(self, *, ca_bundle: str | None = None, deadline: float = DEADLINE_SECONDS) -> None:
        self._ca_bundle = ca_bundle
        self._deadline = deadline
        self._pools: dict[str | None, PoolManager] = {}
        self._random = random.SystemRandom()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        repeat: bool = True,
    ) -> BaseHTTPResponse:
        """Call, and read the answer. It may have any status but those that ask for patience.

        Args:
            repeat: a call that got no answer is made again.

        Raises:
            TimedOutError: the server asked for more patience than the deadline allows.
            ExhaustError: the server cannot be reached.
        """
        return self._patiently(method, url, headers, body, preload=True, repeat=repeat)

    def open(self, url: str, *, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Get something whose body the caller reads; see call."""
        return self._patiently("GET", url, headers, None, preload=False)

    def _patiently(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        preload: bool,
        repeat: bool = True,
    ) -> BaseHTTPResponse:
        end = time.monotonic() + self._deadline
        pause = _FIRST_PAUSE
        while True:
            wait, why = pause, "nothing"
            try:
                answer = self._once(method, url, headers, body, preload=preload)
                if answer.status not in _PATIENCE:
                    return answer
                why = f"status {answer.status}"
                wait = asked_pause(answer.headers, pause)
                if not preload:
                    answer.close()
            except HTTPError as error:
                answer, why = None, reason(error)
            wait += self._random.uniform(_NO_TIME, pause)  # so that many who were refused do not come back together
            if time.monotonic() + wait > end or (answer is None and not repeat):
                if answer is None:
                    raise ExhaustError(f"{host(url)} cannot be reached: {why}; {advice(why)}")
                raise TimedOutError(f"{host(url)} asks to wait {wait:.0f} s ({why}{_said(answer)}); try again then")
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, preload: bool
    ) -> BaseHTTPResponse:
        proxy = proxy_for(url)
        pool = self._pools.get(proxy)
        if pool is None:
            pool = self._pools[proxy] = open_pool(proxy, self._ca_bundle)
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        try:
            return pool.request(
                method,
                url,
                headers=dict(headers),
                body=body,
                preload_content=preload,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=timeout,
            )
        except LocationValueError as error:
            raise UsageError(f"{url} is no address of a gateway; it looks like https://exhaust.example.org") from error


def asked_pause(headers: Mapping[str, str], otherwise: float) -> float:
    """Return the seconds that an answer asks to wait, by `Retry-After` or `RateLimit-Reset`."""
    for name in ("Retry-After", "RateLimit-Reset"):
        asked = headers.get(name)
        if asked is None:
            continue
        try:
            return max(_NO_TIME, float(int(asked)))
        except ValueError:
            pass
        try:
            return max(_NO_TIME, parsedate_to_datetime(asked).timestamp() - time.time() + clock_offset(headers))
        except (TypeError, ValueError):
            continue
    return otherwise


def clock_offset(headers: Mapping[str, str]) -> float:
    """Return how many seconds this clock is ahead of that of the server that answered; 0 when it does not tell."""
    try:
        return time.time() - parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def host(url: str) -> str:
    """Return the part of an address that may be shown: a signed link is a secret."""
    return "/".join(url.split("/", 3)[:3])


def reason(error: Exception) -> str:
    """Return in one line why a call failed, without the address."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None)) is not None and isinstance(inner, BaseException):
        cause = inner
    text = str(cause).rpartition(": ")[2] if "object at 0x" in str(cause) else str(cause)
    return " ".join((text or type(cause).__name__).split())[:200]


def advice(why: str) -> str:
    """Return what to do when a call fails for a reason."""
    if "CERTIFICATE_VERIFY_FAILED" in why:
        return "check the clock of this machine, or name the right CA with EXHAUST_CA_BUNDLE"
    return "see `exhaust doctor`"


def _said(answer: BaseHTTPResponse) -> str:
    try:
        return f": {safe_text(json.loads(answer.data)['params']['errmsg'])}"
    except (ValueError, LookupError, TypeError, HTTPError):
        return ""
