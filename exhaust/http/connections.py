"""How many connections a listener keeps, and which one goes when another comes."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from prometheus_client import Counter, Gauge

from exhaust.errors import ErrorCode, ExhaustError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

WANTED_FILES: Final = 65_536

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a listener bears.

    Attributes:
        most: connections at once.
        per_address: of them from one address; None where one address stands for many callers.
        head: from connecting, or from the first byte of a later request, to the end of its headers.
        keep_alive: between two requests.
        standstill: while an answer waits for a caller who does not read it.
    """

    most: int = 1000
    per_address: int | None = None
    head: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=30)
    standstill: timedelta = timedelta(seconds=60)


class Connection(Protocol):
    """What is counted."""

    def give_way(self) -> None:
        """Close, since another caller needs the place; only asked of a connection that waits."""


@dataclass(slots=True)
class _Caller:
    connections: int = 0
    waiting: dict[Connection, None] = field(default_factory=dict)  # longest first, as dicts keep their order


class Connections:
    """The connections of one listener.

    A connection waits while it is the caller's turn: just opened, slow with its headers or its body, not reading its
    answer, or kept alive. When there are too many, the one that has waited longest gives way to the new one, of the
    same address when that has too many. So whoever opens connections and lets them wait stops nobody, not even others
    of the same address.
    """

    def __init__(self, limits: ConnectionLimits, registry: CollectorRegistry | None = None) -> None:
        self.limits = limits
        self._addresses: dict[Connection, str] = {}
        self._waiting: dict[Connection, None] = {}  # longest first
        self._callers: dict[str, _Caller] = {}
        self._open = Gauge("exhaust_http_connections", "Open connections of callers.", registry=registry)
        self._cut = Counter(
            "exhaust_http_connections_cut", "Connections of callers that were cut, by why.", ["why"], registry=registry
        )

    def enter(self, connection: Connection, address: str) -> None:
        """Count a new connection; it waits.

        Raises:
            ExhaustError: RATE_LIMITED when its address has too many and all are at work, SERVICE_UNAVAILABLE when the
                listener has.
        """
        limits = self.limits
        caller = self._callers.get(address)
        if caller is not None and limits.per_address is not None and caller.connections >= limits.per_address:
            what = f"this address has {limits.per_address} calls at work, which is the most allowed"
            self._make_room(caller.waiting, ErrorCode.RATE_LIMITED, what)
        elif len(self._addresses) >= limits.most:
            self._make_room(self._waiting, ErrorCode.SERVICE_UNAVAILABLE, "too many calls are at work")
        self._addresses[connection] = address
        self._callers.setdefault(address, _Caller()).connections += 1
        self._open.set(len(self._addresses))
        self.waits(connection)

    def works(self, connection: Connection) -> None:
        """It is our turn: its request is complete and is being answered. It does not give way."""
        if connection in self._waiting:
            del self._waiting[connection]
            del self._callers[self._addresses[connection]].waiting[connection]

    def waits(self, connection: Connection) -> None:
        """It is the caller's turn, from now on if it was ours."""
        if connection in self._addresses:
            self._waiting[connection] = self._callers[self._addresses[connection]].waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """It is closed. Telling it twice does no harm."""
        self.works(connection)
        address = self._addresses.pop(connection, None)
        if address is None:
            return
        caller = self._callers[address]
        caller.connections -= 1
        if not caller.connections:
            del self._callers[address]
        self._open.set(len(self._addresses))

    def cut(self, why: str) -> None:
        """Count a connection that was cut, in a few words that are always the same."""
        self._cut.labels(why).inc()

    def _make_room(self, waiting: dict[Connection, None], code: ErrorCode, what: str) -> None:
        longest = next(iter(waiting), None)
        if longest is None:
            self.cut("refused")
            raise ExhaustError(code, f"{what}; try again in a few seconds")
        self.leave(longest)
        self.cut("gave way")
        longest.give_way()


@lru_cache(maxsize=4096)
def subscriber(address: str) -> str | None:
    """What one subscriber has: the address, of IPv6 its /64 network; None when it is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))


def within_file_limit(limits: ConnectionLimits) -> ConnectionLimits:
    """The limits, with no more connections than half of the files that this process may open.

    That number is raised as far as it may be, up to WANTED_FILES.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    files = WANTED_FILES if hard == unlimited else min(hard, WANTED_FILES)
    if soft != unlimited and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    most = min(limits.most, max(1, files // 2))
    if most < limits.most:
        log.warning("connections.fewer", wanted=limits.most, most=most, open_files=files)
    return replace(limits, most=most)
