"""Which connection gives way to a new one, and that the count stays right whatever happens in whatever order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.connections import ConnectionLimits, Connections, subscriber


@dataclass(eq=False)
class Line:
    """A connection that remembers whether it had to go."""

    gone: list["Line"] = field(default_factory=list)

    def give_way(self) -> None:
        self.gone.append(self)


def entered(connections: Connections, address: str, number: int, gone: list[Line]) -> list[Line]:
    lines = [Line(gone) for _ in range(number)]
    for line in lines:
        connections.enter(line, address)
    return lines


def test_the_one_that_waited_longest_gives_way() -> None:
    gone: list[Line] = []
    connections = Connections(ConnectionLimits(most=3))
    first, second, third = entered(connections, "a", 3, gone)
    connections.works(first)
    connections.works(second)
    connections.waits(second)
    entered(connections, "b", 1, gone)
    assert gone == [third]
    entered(connections, "b", 1, gone)
    assert gone == [third, second]


def test_an_address_with_too_many_takes_from_itself() -> None:
    gone: list[Line] = []
    connections = Connections(ConnectionLimits(most=100, per_address=2))
    entered(connections, "others", 2, gone)
    first, second = entered(connections, "own", 2, gone)
    entered(connections, "own", 1, gone)
    assert gone == [first]
    connections.leave(second)
    entered(connections, "own", 1, gone)
    assert gone == [first]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ConnectionLimits(most=2), ErrorCode.SERVICE_UNAVAILABLE),
        (ConnectionLimits(per_address=2), ErrorCode.RATE_LIMITED),
    ],
)
def test_nobody_at_work_gives_way(limits: ConnectionLimits, code: ErrorCode) -> None:
    gone: list[Line] = []
    connections = Connections(limits)
    lines = entered(connections, "a", 2, gone)
    for line in lines:
        connections.works(line)
    with pytest.raises(ExhaustError) as refused:
        connections.enter(Line(gone), "a")
    assert (refused.value.code, gone) == (code, [])
    connections.leave(lines[0])
    entered(connections, "a", 1, gone)
    assert gone == []


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["enter", "works", "waits", "leave"]), st.integers(0, 9), st.sampled_from("ab")),
        max_size=80,
    )
)
def test_no_order_of_events_breaks_the_limits_or_leaves_something_behind(steps: list[tuple[str, int, str]]) -> None:
    gone: list[Line] = []
    connections = Connections(ConnectionLimits(most=4, per_address=3))
    lines = [Line(gone) for _ in range(10)]
    inside: dict[Line, str] = {}
    for step, number, address in steps:
        line = lines[number]
        if step != "enter":
            getattr(connections, step)(line)
            if step == "leave":
                inside.pop(line, None)
        elif line not in inside:
            try:
                connections.enter(line, address)
            except ExhaustError:
                continue
            inside[line] = address
            while gone:
                del inside[gone.pop()]
        assert len(inside) <= 4
        assert all(list(inside.values()).count(address) <= 3 for address in "ab")
    for line in lines:
        connections.leave(line)
    fresh = [Line(gone) for _ in range(4)]
    for line, address in zip(fresh, "aaab", strict=True):
        connections.enter(line, address)
    assert gone == []  # all places were free again


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
def test_a_subscriber_of_ipv6_has_a_network(address: str, whose: str | None) -> None:
    assert subscriber(address) == whose
