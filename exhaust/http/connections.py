"""The limits on a listener's connections, and the eviction of idle ones when another comes."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, Protocol

import structlog

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.metrics.catalogue import HTTP_CONNECTIONS, HTTP_CONNECTIONS_CUT
from exhaust.metrics.registry import MetricRegistry

MAX_OPEN_FILES: Final = 65_536

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one listener.

    Attributes:
        max_connections: open connections in all.
        max_per_address: open connections from one address; None where one address stands for many callers.
        header_timeout: from connecting, or from the first byte of a later request, to the end of its headers.
        keep_alive_timeout: between two requests of a connection.
        read_window: the time over which the speed of a caller who reads an answer slowly is averaged.
        least_read_speed: bytes a second that such a caller must read.
    """

    max_connections: int = 1000
    max_per_address: int | None = None
    header_timeout: timedelta = timedelta(seconds=10)
    keep_alive_timeout: timedelta = timedelta(seconds=30)
    read_window: timedelta = timedelta(seconds=30)
    least_read_speed: int = 16 * 1024


class Connection(Protocol):
    """A connection that the limiter counts."""

    def evict(self) -> None:
        """Close, since another caller needs the place; called on idle connections only."""


@dataclass(slots=True)
class _Address:
    connections: int = 0
    idle: dict[Connection, None] = field(default_factory=dict)  # the longest idle first, as dicts keep their order


class ConnectionLimiter:
    """Counts the connections of one listener, and evicts the one that has been idle longest when there are too many.

    A connection is idle while the listener waits for its caller: just opened, sending headers or a body, not reading
    its answer, or kept alive. It is busy while its request is being answered, and busy ones are never evicted. When
    one address has too many, one of the same address is evicted. So whoever opens connections and leaves them idle
    shuts nobody out, not even others of the same address.
    """

    def __init__(self, limits: ConnectionLimits, registry: MetricRegistry | None = None) -> None:
        self.limits = limits
        self._open: dict[Connection, str] = {}
        self._idle: dict[Connection, None] = {}  # the longest idle first
        self._addresses: dict[str, _Address] = {}
        registry = registry or MetricRegistry()
        self._open_gauge = registry.gauge(HTTP_CONNECTIONS)
        self._closed = registry.counter(HTTP_CONNECTIONS_CUT)

    def add(self, connection: Connection, address: str) -> None:
        """Count a new connection; it is idle.

        Raises:
            ExhaustError: RATE_LIMITED when its address has too many and all are busy, SERVICE_UNAVAILABLE when the
                listener has.
        """
        limits = self.limits
        known = self._addresses.get(address)
        if known is not None and limits.max_per_address is not None and known.connections >= limits.max_per_address:
            what = f"this address has {limits.max_per_address} calls at work, which is the most allowed"
            self._evict_longest(known.idle, ErrorCode.RATE_LIMITED, what)
        elif len(self._open) >= limits.max_connections:
            self._evict_longest(self._idle, ErrorCode.SERVICE_UNAVAILABLE, "too many calls are at work")
        self._open[connection] = address
        self._addresses.setdefault(address, _Address()).connections += 1
        self._open_gauge.set(len(self._open))
        self.mark_idle(connection)

    def mark_busy(self, connection: Connection) -> None:
        """Protect a connection from eviction: its request is complete and is being answered."""
        if connection in self._idle:
            del self._idle[connection]
            del self._addresses[self._open[connection]].idle[connection]

    def mark_idle(self, connection: Connection) -> None:
        """Let a connection be evicted: the listener waits for its caller, from now on if it was busy."""
        if connection in self._open:
            self._idle[connection] = self._addresses[self._open[connection]].idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection that is closed; doing it twice does no harm."""
        self.mark_busy(connection)
        address = self._open.pop(connection, None)
        if address is None:
            return
        known = self._addresses[address]
        known.connections -= 1
        if not known.connections:
            del self._addresses[address]
        self._open_gauge.set(len(self._open))

    def count_closed(self, reason: str) -> None:
        """Count a connection that the listener closes, by one of a few fixed reasons."""
        self._closed.labels(reason).inc()

    def _evict_longest(self, idle: dict[Connection, None], code: ErrorCode, what: str) -> None:
        longest = next(iter(idle), None)
        if longest is None:
            self.count_closed("refused")
            raise ExhaustError(code, f"{what}; try again in a few seconds")
        self.remove(longest)
        self.count_closed("gave way")
        longest.evict()


@lru_cache(maxsize=4096)
def client_network(address: str) -> str | None:
    """Return the network that one subscriber has: the address, of IPv6 its /64; None when it is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))


def cap_by_open_files(limits: ConnectionLimits) -> ConnectionLimits:
    """Limit connections to half of the files that this process may open.

    That number is raised first as far as the system allows, up to MAX_OPEN_FILES.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    files = MAX_OPEN_FILES if hard == unlimited else min(hard, MAX_OPEN_FILES)
    if soft != unlimited and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    most = min(limits.max_connections, max(1, files // 2))
    if most < limits.max_connections:
        log.warning("connections.fewer", wanted=limits.max_connections, most=most, open_files=files)
    return replace(limits, max_connections=most)
