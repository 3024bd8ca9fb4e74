"""Which connection gives way to a new one, and that the count stays right whatever happens in whatever order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.connections import ConnectionLimiter, ConnectionLimits, client_network


@dataclass(eq=False)
class Line:
    """A connection that remembers whether it had to go."""

    gone: list["Line"] = field(default_factory=list)

    def evict(self) -> None:
        self.gone.append(self)


def entered(limiter: ConnectionLimiter, address: str, number: int, gone: list[Line]) -> list[Line]:
    lines = [Line(gone) for _ in range(number)]
    for line in lines:
        limiter.add(line, address)
    return lines


def test_the_one_that_waited_longest_gives_way() -> None:
    gone: list[Line] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=3))
    first, second, third = entered(limiter, "a", 3, gone)
    limiter.mark_busy(first)
    limiter.mark_busy(second)
    limiter.mark_idle(second)
    entered(limiter, "b", 1, gone)
    assert gone == [third]
    entered(limiter, "b", 1, gone)
    assert gone == [third, second]


def test_an_address_with_too_many_takes_from_itself() -> None:
    gone: list[Line] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=100, max_per_address=2))
    entered(limiter, "others", 2, gone)
    first, second = entered(limiter, "own", 2, gone)
    entered(limiter, "own", 1, gone)
    assert gone == [first]
    limiter.remove(second)
    entered(limiter, "own", 1, gone)
    assert gone == [first]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ConnectionLimits(max_connections=2), ErrorCode.SERVICE_UNAVAILABLE),
        (ConnectionLimits(max_per_address=2), ErrorCode.RATE_LIMITED),
    ],
)
def test_nobody_at_work_gives_way(limits: ConnectionLimits, code: ErrorCode) -> None:
    gone: list[Line] = []
    limiter = ConnectionLimiter(limits)
    lines = entered(limiter, "a", 2, gone)
    for line in lines:
        limiter.mark_busy(line)
    with pytest.raises(ExhaustError) as refused:
        limiter.add(Line(gone), "a")
    assert (refused.value.code, gone) == (code, [])
    limiter.remove(lines[0])
    entered(limiter, "a", 1, gone)
    assert gone == []


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "mark_busy", "mark_idle", "remove"]), st.integers(0, 9), st.sampled_from("ab")
        ),
        max_size=80,
    )
)
def test_no_order_of_events_breaks_the_limits_or_leaves_something_behind(steps: list[tuple[str, int, str]]) -> None:
    gone: list[Line] = []
    limiter = ConnectionLimiter(ConnectionLimits(max_connections=4, max_per_address=3))
    lines = [Line(gone) for _ in range(10)]
    inside: dict[Line, str] = {}
    for step, number, address in steps:
        line = lines[number]
        if step != "add":
            getattr(limiter, step)(line)
            if step == "remove":
                inside.pop(line, None)
        elif line not in inside:
            try:
                limiter.add(line, address)
            except ExhaustError:
                continue
            inside[line] = address
            while gone:
                del inside[gone.pop()]
        assert len(inside) <= 4
        assert all(list(inside.values()).count(address) <= 3 for address in "ab")
    for line in lines:
        limiter.remove(line)
    fresh = [Line(gone) for _ in range(4)]
    for line, address in zip(fresh, "aaab", strict=True):
        limiter.add(line, address)
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
def test_one_subscriber_of_ipv6_has_a_64_network(address: str, whose: str | None) -> None:
    assert client_network(address) == whose
