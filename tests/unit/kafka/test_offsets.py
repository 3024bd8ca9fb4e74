from hypothesis import given
from hypothesis import strategies as st

from exhaust.kafka.offsets import OffsetLedger


def test_only_a_finished_run_from_the_oldest_on_may_be_committed() -> None:
    ledger = OffsetLedger()
    for offset in (5, 6, 9):
        ledger.take(offset)
    ledger.finish(6)
    assert ledger.committable() is None
    ledger.finish(5)
    assert ledger.committable() == 7
    assert ledger.committable() == 7  # until a commit has succeeded
    ledger.committed(7)
    assert ledger.committable() is None
    ledger.finish(9)
    assert ledger.committable() == 10


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.data())
def test_no_unfinished_record_is_ever_covered(offsets: list[int], data: st.DataObject) -> None:
    ledger = OffsetLedger()
    for offset in sorted(offsets):
        ledger.take(offset)
    unfinished = set(offsets)
    for offset in data.draw(st.permutations(offsets)):
        ledger.finish(offset)
        unfinished.discard(offset)
        committed = ledger.committable()
        assert committed is None or all(committed <= left for left in unfinished)
        if committed is not None and data.draw(st.booleans()):
            ledger.committed(committed)
    assert not unfinished


def test_work_from_before_a_rebalance_covers_nothing() -> None:
    ledger = OffsetLedger()
    ledger.take(0)
    ledger.finish(2)
    ledger.take(1)
    ledger.take(2)
    ledger.finish(0)
    assert ledger.committable() == 1
