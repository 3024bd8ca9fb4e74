"""The limiter evicts the connection that was idle longest, and its counts hold in any order of events."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.connections import ConnectionLimiter, ConnectionLimits, client_network


@dataclass(eq=False)
class FakeConnection:
    """A connection that records its eviction."""

    evicted: list["FakeConnection"] = field(default_factory=list)

    def evict(self) -> None:
        self.evicted.append(self)


def add_connections(
    limiter: ConnectionLimiter, address: str, number: int, evicted: list[FakeConnection]
) -> list[FakeConnection]:
    connections = [FakeConnection(evicted) for _ in range(number)]
    for connection in connections:
        limiter.add(connection, address)
    return connections


def test_the_connection_that_was_idle_longest_is_evicted() -> None:
    evicted: list[FakeConnection] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=3))
    first, second, third = add_connections(limiter, "a", 3, evicted)
    limiter.mark_busy(first)
    limiter.mark_busy(second)
    limiter.mark_idle(second)
    add_connections(limiter, "b", 1, evicted)
    assert evicted == [third]
    add_connections(limiter, "b", 1, evicted)
    assert evicted == [third, second]


def test_an_address_with_too_many_connections_loses_one_of_its_own() -> None:
    evicted: list[FakeConnection] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=100, max_per_address=2))
    add_connections(limiter, "others", 2, evicted)
    first, second = add_connections(limiter, "own", 2, evicted)
    add_connections(limiter, "own", 1, evicted)
    assert evicted == [first]
    limiter.remove(second)
    add_connections(limiter, "own", 1, evicted)
    assert evicted == [first]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ConnectionLimits(max_connections=2), ErrorCode.SERVICE_UNAVAILABLE),
        (ConnectionLimits(max_per_address=2), ErrorCode.RATE_LIMITED),
    ],
)
def test_a_busy_connection_is_never_evicted(limits: ConnectionLimits, code: ErrorCode) -> None:
    evicted: list[FakeConnection] = []
    limiter = ConnectionLimiter(limits)
    connections = add_connections(limiter, "a", 2, evicted)
    for connection in connections:
        limiter.mark_busy(connection)
    with pytest.raises(ExhaustError) as refused:
        limiter.add(FakeConnection(evicted), "a")
    assert (refused.value.code, evicted) == (code, [])
    limiter.remove(connections[0])
    add_connections(limiter, "a", 1, evicted)
    assert evicted == []


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "mark_busy", "mark_idle", "remove"]), st.integers(0, 9), st.sampled_from("ab")
        ),
        max_size=80,
    )
)
def test_limits_and_counts_hold_in_any_order_of_events(steps: list[tuple[str, int, str]]) -> None:
    evicted: list[FakeConnection] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=4, max_per_address=3))
    connections = [FakeConnection(evicted) for _ in range(10)]
    inside: dict[FakeConnection, str] = {}
    for step, number, address in steps:
        connection = connections[number]
        if step != "add":
            getattr(limiter, step)(connection)
            if step == "remove":
                inside.pop(connection, None)
        elif connection not in inside:
            try:
                limiter.add(connection, address)
            except ExhaustError:
                continue
            inside[connection] = address
            while evicted:
                del inside[evicted.pop()]
        assert len(inside) <= 4
        assert all(list(inside.values()).count(address) <= 3 for address in "ab")
    for connection in connections:
        limiter.remove(connection)
    fresh = [FakeConnection(evicted) for _ in range(4)]
    for connection, address in zip(fresh, "aaab", strict=True):
        limiter.add(connection, address)
    assert evicted == []  # all places were free again


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unix", None),
    ],
)
def test_one_subscriber_of_ipv6_has_a_64_network(address: str, whose: str | None) -> None:
    assert client_network(address) == whose
