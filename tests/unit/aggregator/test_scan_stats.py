"""The statistics of a scan keep within their bounds, whatever an object holds."""

from __future__ import annotations

from services.aggregator.scan.scan_stats import BUCKET_MASK, MAX_UNREADABLE_LINES, EventIdHashes, ScanStats


def test_the_first_hundred_unreadable_lines_have_a_place_and_all_are_counted() -> None:
    stats = ScanStats()
    for offset in range(0, 1010, 10):
        stats.add_unreadable_line(offset)
    assert MAX_UNREADABLE_LINES == 100
    assert stats.unreadable == 101
    assert stats.unreadable_offsets == list(range(0, 1000, 10))


def test_twenty_versions_are_told_apart_and_the_rest_is_one() -> None:
    stats = ScanStats()
    for number in range(22):
        stats.add([{"eid": "E", "ver": f"{number}.0"}] * 2)
    stats.add([{"eid": "E", "ver": "19.0"}])
    assert stats.versions == {f"{number}.0": 2 for number in range(19)} | {"19.0": 3, "other": 4}
    assert stats.events == 45


def test_the_span_of_time_only_widens() -> None:
    stats = ScanStats()
    assert (stats.first_event_ms, stats.last_event_ms) == (None, None)
    stats.add([{"eid": "E"}])
    assert (stats.first_event_ms, stats.last_event_ms) == (None, None)
    for ets, span in ((500, (500, 500)), (700, (500, 700)), (600, (500, 700)), (100, (100, 700))):
        stats.add([{"eid": "E", "ets": ets}])
        assert (stats.first_event_ms, stats.last_event_ms) == span


def test_hashes_lie_in_the_bucket_of_their_last_bits() -> None:
    hashes = EventIdHashes()
    ids = [f"id-{number}" for number in range(1000)]
    hashes.add(ids[:600])
    hashes.add(ids[600:])
    assert hashes.count == 1000
    taken = hashes.take()
    assert (hashes.count, hashes.take()) == (0, {})
    assert BUCKET_MASK == 63
    expected: dict[int, bytes] = {}
    for hashed in map(hash, ids):
        expected[hashed & 63] = expected.get(hashed & 63, b"") + hashed.to_bytes(8, "little", signed=True)
    assert taken == expected
    hashes.add(["again"])
    assert hashes.count == 1
    assert list(hashes.take()) == [hash("again") & 63]
