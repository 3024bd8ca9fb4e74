"""No commit covers an unfinished record, and none goes back, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exhaust.kafka.offsets import OffsetTracker


def started(offset: int = 0) -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.start_at(offset)
    return tracker


def test_records_are_committed_up_to_the_first_unfinished_one() -> None:
    tracker = started(5)
    for offset in (5, 6, 9):
        assert tracker.take(offset)
    tracker.finish(6)
    assert tracker.next_offset() is None
    tracker.finish(5)
    assert tracker.next_offset() == 9
    assert tracker.next_offset() == 9  # until a commit has succeeded
    tracker.confirm(9)
    assert tracker.next_offset() is None
    tracker.finish(9)
    assert tracker.next_offset() == 10


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.data())
def test_no_commit_covers_an_unfinished_record(offsets: list[int], data: st.DataObject) -> None:
    tracker = started()
    for offset in sorted(offsets):
        tracker.take(offset)
    unfinished = set(offsets)
    for offset in data.draw(st.permutations(offsets)):
        tracker.finish(offset)
        unfinished.discard(offset)
        committed = tracker.next_offset()
        assert committed is None or all(committed <= left for left in unfinished)
        if committed is not None and data.draw(st.booleans()):
            tracker.confirm(committed)
    assert not unfinished
    assert tracker.next_offset() in {None, max(offsets) + 1}


def test_what_was_finished_before_a_rebalance_is_not_worked_on_again() -> None:
    tracker = started()
    for offset in (0, 1, 2):
        tracker.take(offset)
    tracker.release()
    assert tracker.next_offset() is None  # it is not this member's to commit
    tracker.finish(1)
    tracker.start_at(0)
    assert [tracker.take(offset) for offset in (0, 1, 2)] == [True, False, True]
    tracker.finish(0)
    assert tracker.next_offset() == 2


def test_a_partition_is_never_read_below_what_was_committed() -> None:
    tracker = started()
    tracker.confirm(258)
    tracker.release()
    assert tracker.start_at(156) == 258
    assert (tracker.position, tracker.next_offset()) == (258, None)
    tracker.rewind()
    assert tracker.next_offset() == 258  # once more, since Kafka forgot it
    tracker.confirm(258)
    assert tracker.next_offset() is None


def test_a_commit_that_arrives_late_does_not_lower_the_floor() -> None:
    tracker = started()
    tracker.confirm(20)
    tracker.confirm(10)
    assert tracker.floor == 20


def test_the_marks_of_transactions_are_committed_when_nothing_is_in_work() -> None:
    tracker = started()
    tracker.take(0)
    tracker.pass_to(2)
    assert tracker.next_offset() is None
    tracker.finish(0)
    assert tracker.next_offset() == 2
    tracker.confirm(2)
    tracker.pass_to(3)
    assert tracker.next_offset() == 3


def test_nothing_is_committed_before_anything_was_read() -> None:
    assert started(7).next_offset() is None


class GroupOfTwo(RuleBasedStateMachine):
    """Two members that pass a partition to one another, with commits that are late, lost, or not known to have worked.

    The log has a record at each offset but those that are divisible by 5, which are marks of transactions. Kafka
    keeps what is committed, takes commits of the owner alone, and now and then loses some of it.
    """

    LENGTH = 30

    def __init__(self) -> None:
        super().__init__()
        self.trackers = (OffsetTracker(), OffsetTracker())
        self.owner: int | None = None
        self.kafka: int | None = None
        self.done: set[int] = set()
        self.in_work: tuple[set[int], set[int]] = (set(), set())

    @rule(member=st.integers(0, 1))
    def rebalance(self, member: int) -> None:
        if self.owner is not None:
            self.trackers[self.owner].release()
        self.owner = member
        start = self.trackers[member].start_at(0 if self.kafka is None else self.kafka)
        floor = self.trackers[member].floor
        assert floor is None or start >= floor

    @precondition(lambda self: self.owner is not None)
    @rule(count=st.integers(1, 4))
    def poll(self, count: int) -> None:
        tracker = self.trackers[self.owner or 0]
        position = tracker.position
        assert position is not None
        for offset in range(position, min(position + count, self.LENGTH)):
            if offset % 5 == 0:
                tracker.pass_to(offset + 1)
            elif tracker.take(offset):
                self.in_work[self.owner or 0].add(offset)

    @rule(member=st.integers(0, 1), data=st.data())
    def finish(self, member: int, data: st.DataObject) -> None:
        if self.in_work[member]:
            offset = data.draw(st.sampled_from(sorted(self.in_work[member])))
            self.in_work[member].discard(offset)
            self.done.add(offset)
            self.trackers[member].finish(offset)

    @precondition(lambda self: self.owner is not None)
    @rule(known=st.booleans())
    def commit(self, *, known: bool) -> None:
        tracker = self.trackers[self.owner or 0]
        offset = tracker.next_offset()
        if offset is None:
            return
        floor = tracker.floor
        assert floor is None or offset >= floor, "a commit goes back"
        assert self.kafka is None or offset >= self.kafka, "a commit takes back another member's"
        missing = [record for record in range(offset) if record % 5 and record not in self.done]
        assert not missing, f"the commit of {offset} passes {missing}"
        self.kafka = offset
        if known:
            tracker.confirm(offset)

    @precondition(lambda self: self.kafka is not None)
    @rule(member=st.integers(0, 1))
    def look(self, member: int) -> None:
        tracker = self.trackers[member]
        floor = tracker.floor
        if floor is not None and (self.kafka or 0) < floor:
            tracker.rewind()
        else:
            tracker.confirm(self.kafka or 0)

    @rule(lost=st.integers(1, 10))
    def kafka_forgets(self, lost: int) -> None:
        if self.kafka is not None:
            self.kafka = max(self.kafka - lost, 0)

    @invariant()
    def nothing_is_committed_that_was_not_finished(self) -> None:
        for tracker in self.trackers:
            floor = tracker.floor or 0
            assert all(record in self.done for record in range(floor) if record % 5)


TestGroupOfTwo = GroupOfTwo.TestCase


def test_what_lies_below_the_floor_is_not_remembered_and_what_lies_at_it_is() -> None:
    tracker = OffsetTracker()
    tracker.start_at(0)
    tracker.confirm(10)
    for offset in (5, 10, 11):
        tracker.finish(offset)
    assert tracker.take(5)
    assert not tracker.take(10)
    assert not tracker.take(11)
