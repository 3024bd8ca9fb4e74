"""A load generator that costs much less than the service it calls: HTTP/1.1 over persistent connections.

Understands what the two services answer, and no more: a status line, a Content-Length, a body.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import TYPE_CHECKING, Final, cast

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONNECTIONS: Final = 32
WARM_UP: Final = timedelta(seconds=0.5)
LIMIT: Final = timedelta(seconds=120)
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a service on this machine."""

    port: int
    host: str = "127.0.0.1"


@dataclass(slots=True)
class CallStats:
    """Answered calls.

    Attributes:
        statuses: how many calls ended with each HTTP status.
        latencies: of each call, in seconds.
        seconds: how long was measured.
        bodies: of the answers, when they were asked for.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """The number of calls a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies, in seconds."""
        return quantiles(self.latencies, n=100)[percent - 1]

    def check(self, expected: int) -> None:
        """Check that all calls ended with the expected status.

        Raises:
            BenchError: they did not.
        """
        if set(self.statuses) != {expected}:
            raise BenchError(f"calls were answered with {dict(self.statuses)} instead of {expected} alone")

    def add(self, other: CallStats) -> None:
        """Count the calls of another measurement too."""
        self.statuses += other.statuses
        self.latencies += other.latencies
        self.seconds += other.seconds


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a POST request."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}"
    return head.encode() + _HEAD_END + body


class Caller(asyncio.Protocol):
    """A connection that calls, waits for the whole answer, and calls again."""

    def __init__(
        self, next_call: Callable[[], bytes | None], measured: CallStats, *, keep_bodies: bool = False
    ) -> None:
        """Prepare.

        Args:
            next_call: the bytes of the next call; None when there is none.
            measured: where the answers are counted.
            keep_bodies: keep what was answered.
        """
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next_call = next_call
        self._measured = measured
        self._keep_bodies = keep_bodies
        self._received = b""
        self._begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first call."""
        self._transport = cast("asyncio.Transport", transport)
        self._call()

    def _call(self) -> None:
        call = self._next_call()
        if call is None:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._begun = time.perf_counter()
        self._transport.write(call)

    def data_received(self, data: bytes) -> None:
        """Collect the answer, and call again when it is complete."""
        received = self._received = self._received + data
        head_end = received.find(_HEAD_END)
        if head_end < 0:
            return
        length_at = received.find(_LENGTH, 0, head_end) + len(_LENGTH)
        length = int(received[length_at : received.index(b"\r\n", length_at)])
        body_at = head_end + len(_HEAD_END)
        if len(received) < body_at + length:
            return
        self._measured.latencies.append(time.perf_counter() - self._begun)
        self._measured.statuses[int(received[9:12])] += 1
        if self._keep_bodies:
            self._measured.bodies.append(received[body_at:])
        self._received = b""
        self._call()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the benchmark when the connection breaks in the middle of a call."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the service closed the connection"))


async def call_all(address: Address, calls: list[bytes]) -> CallStats:
    """Make these calls over CONNECTIONS connections, and keep the answers."""
    measured = CallStats()
    waiting = iter(calls)
    await _run(address, lambda: next(waiting, None), measured, keep_bodies=True)
    return measured


async def call_for(
    address: Address, duration: timedelta, next_call: Callable[[], bytes], *, connections: int = CONNECTIONS
) -> CallStats:
    """Call over some connections for this duration, after a warm-up that does not count."""
    measured = CallStats()
    begun = time.perf_counter()
    counted_from = begun + WARM_UP.total_seconds()
    end = counted_from + duration.total_seconds()
    counts = False

    def next_timed() -> bytes | None:
        nonlocal counts
        now = time.perf_counter()
        if not counts and now >= counted_from:
            counts = True
            measured.latencies.clear()
            measured.statuses.clear()
        return None if now >= end else next_call()

    await _run(address, next_timed, measured, connections=connections)
    measured.seconds = time.perf_counter() - counted_from
    return measured


async def call_on_new_connections(address: Address, duration: timedelta, next_call: Callable[[], bytes]) -> CallStats:
    """Call for this duration, one call after the other, each on a connection of its own."""
    measured = CallStats()
    started = time.perf_counter()
    end = started + duration.total_seconds()
    async with asyncio.timeout(LIMIT.total_seconds()):
        while (begun := time.perf_counter()) < end:
            await _run(address, _once(next_call()), measured, connections=1)
            measured.latencies[-1] = time.perf_counter() - begun
    measured.seconds = time.perf_counter() - started
    return measured


def _once(call: bytes) -> Callable[[], bytes | None]:
    waiting = iter([call])
    return lambda: next(waiting, None)


async def _run(
    address: Address,
    next_call: Callable[[], bytes | None],
    measured: CallStats,
    *,
    keep_bodies: bool = False,
    connections: int = CONNECTIONS,
) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LIMIT.total_seconds()):
        opened = [
            await loop.create_connection(
                lambda: Caller(next_call, measured, keep_bodies=keep_bodies), address.host, address.port
            )
            for _ in range(connections)
        ]
        await asyncio.gather(*(caller.ended for _, caller in opened))
