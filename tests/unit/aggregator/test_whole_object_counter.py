"""Many lines that are counted at once give the same counts as each line by itself."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from services.aggregator.scan.lines import LineBlock
from services.aggregator.scan.whole_object_counter import WholeObjectCounter

EVENT = b'{"eid":"A","ver":"3.0","mid":"m1","ets":1500000000000}'
OLD = b'{"eid":"A","ver":"1.0","ts":"2017-07-14T02:40:00+00:00"}'
LINES = st.sampled_from(
    [
        EVENT,
        OLD,
        b'{"eid":"A","mid":"m1"},{"eid":"B"}',
        b'{"eid":"A","x":[{}',
        b'{"eid":"B"}]}',
        b'{"eid":"A","x":"',
        b'"}',
        b"[",
        b"]",
        b'{"eid":"A","x":"\\ud800"}',
        b'{"eid":"A","x":123456789012345678901234567890}',
        b'{"eid":"A","x":"\xff"}',
        b'\xef\xbb\xbf{"eid":"A"}',
        b'{"no":"eid"}',
        b"[]",
        b",",
        b"",
        b" \t",
        EVENT + b"\r",
        b"\x00",
    ]
)


def is_event(line: bytes) -> bool:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except ValueError:
        return False
    return isinstance(value, dict) and "eid" in value


@given(st.lists(st.lists(LINES, min_size=1), max_size=3))
@example([[b'{"eid":"A","x":[{}', b'{"eid":"B"}]}', b'{"eid":"A","mid":"m1"},{"eid":"B"}']])
def test_events_and_unreadable_lines_are_counted_as_if_each_line_came_alone(blocks: list[list[bytes]]) -> None:
    counter = WholeObjectCounter()
    events, unreadable, before = 0, [], 0
    for lines in blocks:
        block = b"\n".join([*lines, b""])
        assert counter.select(LineBlock(before, block)) == [block]
        for line in lines:
            events += is_event(line)
            if line.strip(b" \t\r") and not is_event(line):
                unreadable.append(before)
            before += len(line) + 1
    [stats] = counter.stats
    assert stats.events == events
    assert stats.unreadable_offsets == unreadable[:100]


def test_what_events_say_is_counted_at_once_as_one_by_one() -> None:
    at_once, one_by_one = WholeObjectCounter(), WholeObjectCounter()
    at_once.select(LineBlock(0, b"\n".join([EVENT, OLD, EVENT, b'{"eid":1}', b""])))
    for line in (EVENT, OLD, EVENT, b'{"eid":1}', b"nothing"):
        one_by_one.select(LineBlock(0, b"nothing\n" + line + b"\n"))
    [first], [second] = at_once.stats, one_by_one.stats
    assert first.versions == second.versions == {"3.0": 2, "1.0": 1, "none": 1}
    for each in (first, second):
        assert (each.first_event_ms, each.last_event_ms) == (1500000000000, 1500000000000)
    assert first.id_hashes.take() == second.id_hashes.take()


def test_the_last_line_needs_no_newline() -> None:
    counter = WholeObjectCounter()
    assert counter.select(LineBlock(0, EVENT)) == [EVENT]
    assert counter.stats[0].events == 1
