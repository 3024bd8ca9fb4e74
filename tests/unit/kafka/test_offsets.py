from hypothesis import given
from hypothesis import strategies as st

from exhaust.kafka.offsets import OffsetTracker


def test_records_are_committed_up_to_the_first_unfinished_one() -> None:
    tracker = OffsetTracker()
    for offset in (5, 6, 9):
        tracker.start(offset)
    tracker.finish(6)
    assert tracker.next_offset() is None
    tracker.finish(5)
    assert tracker.next_offset() == 7
    assert tracker.next_offset() == 7  # until a commit has succeeded
    tracker.forget_before(7)
    assert tracker.next_offset() is None
    tracker.finish(9)
    assert tracker.next_offset() == 10


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.data())
def test_no_commit_covers_an_unfinished_record(offsets: list[int], data: st.DataObject) -> None:
    tracker = OffsetTracker()
    for offset in sorted(offsets):
        tracker.start(offset)
    unfinished = set(offsets)
    for offset in data.draw(st.permutations(offsets)):
        tracker.finish(offset)
        unfinished.discard(offset)
        committed = tracker.next_offset()
        assert committed is None or all(committed <= left for left in unfinished)
        if committed is not None and data.draw(st.booleans()):
            tracker.forget_before(committed)
    assert not unfinished


def test_work_from_before_a_rebalance_commits_nothing() -> None:
    tracker = OffsetTracker()
    tracker.start(0)
    tracker.finish(2)
    tracker.start(1)
    tracker.start(2)
    tracker.finish(0)
    assert tracker.next_offset() == 1
