from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.build.repeated_ids import open_repeated_ids
from services.aggregator.scan.scan_stats import EventIdHashes


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=20), max_size=5))
async def test_repeated_ids_are_counted_over_all_objects(objects: list[list[str]]) -> None:
    with open_repeated_ids() as duplicates:
        for ids in objects:
            hashes = EventIdHashes()
            hashes.add(ids)
            duplicates.add(hashes.take())
        every = [mid for ids in objects for mid in ids]
        assert await duplicates.count() == len(every) - len(set(every))


async def test_more_ids_than_memory_takes_are_counted_too() -> None:
    with open_repeated_ids() as duplicates:
        for _ in range(2):
            hashes = EventIdHashes()
            hashes.add([*map(str, range(150_000))])
            duplicates.add(hashes.take())
        assert await duplicates.count() == 150_000


def test_hashes_are_taken_once() -> None:
    hashes = EventIdHashes()
    hashes.add(["a"])
    assert sum(map(len, hashes.take().values())) == 8
    assert hashes.take() == {}
    assert hashes.count == 0
