"""What two looks at a group tell, and one cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from exhaust.lag.groups import GroupLag, Member, PartitionLag
from exhaust.lag.memory import GroupMemory, remember

START: Final = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
LATER: Final = START + timedelta(seconds=5)
MEMBER: Final = Member("aiokafka", "10.0.0.7", (0, 1))


def group(
    *committed: int | None, end: int = 100, read: bool = True, oldest: datetime | None = None, ids: str | None = None
) -> GroupLag:
    """A group, and its partitions' commits; each letter of `ids` is the id of a member."""
    partitions = tuple(
        PartitionLag(number, offset, 0 if offset is None else offset, end, oldest)
        for number, offset in enumerate(committed)
    )
    names = ids if ids is not None else "a" if read else ""
    members = tuple(replace(MEMBER, id=letter) for letter in names)
    return GroupLag("aggregator-build", "dataset.days", members, partitions)


def after(*looks: GroupLag) -> GroupMemory:
    """The memory after looks that are 5 s apart."""
    memory = None
    for number, look in enumerate(looks):
        memory = remember(look, memory, START + number * timedelta(seconds=5))
    assert memory is not None
    return memory


def test_the_counter_of_done_records_starts_with_what_is_committed_and_grows_with_it() -> None:
    assert after(group(3, 4)).done == 7
    assert after(group(3, 4), group(5, 4)).done == 9


def test_the_counter_of_done_records_never_falls() -> None:
    assert after(group(9, 9), group(2, 9)).done == 18
    assert after(group(9, 9), group(2, 9), group(4, 9)).done == 20


def test_a_commit_is_noticed_when_it_grows() -> None:
    assert after(group(3, 4)).committed_at == START  # watched from here on
    assert after(group(3, 4), group(3, 4)).committed_at == START
    assert after(group(3, 4), group(3, 5)).committed_at == LATER


def test_what_retention_removes_is_no_commit() -> None:
    never = GroupLag("g", "t", (MEMBER,), (PartitionLag(0, None, 0, 10),))
    shortened = GroupLag("g", "t", (MEMBER,), (PartitionLag(0, None, 6, 10),))
    assert after(never, shortened).committed_at == START
    assert after(never, shortened).done == 0


def test_a_group_is_absent_since_the_first_look_that_found_no_member() -> None:
    assert after(group(3)).absent_since is None
    assert after(group(3), group(3, read=False), group(3, read=False)).absent_since == LATER
    assert after(group(3), group(3, read=False), group(3)).absent_since is None


@pytest.mark.parametrize(
    ("heard", "since"),
    [(None, 60), (55, 55), (60, 60), (70, 60), (0, 5), (-1, 60)],  # the last: its beats had stopped long before
)
def test_who_was_heard_of_before_the_group_was_empty_has_read_until_then(heard: int | None, since: int) -> None:
    gone = START + timedelta(seconds=60)
    before = after(group(3), group(4))  # committed at 5 s
    heard_at = None if heard is None else START + timedelta(seconds=heard)
    memory = remember(group(4, read=False), before, gone, heard_at)
    assert memory.absent_since == START + timedelta(seconds=since)
    later = remember(group(4, read=False), memory, gone + timedelta(seconds=5), gone + timedelta(seconds=5))
    assert later.absent_since == memory.absent_since  # a worker that is put out of the group may go on to tell


def test_a_first_look_counts_absence_since_the_oldest_record_that_waits() -> None:
    long_ago = START - timedelta(hours=2)
    assert after(group(3, read=False, oldest=long_ago)).absent_since == long_ago
    assert after(group(3, read=False)).absent_since == START


@pytest.mark.parametrize(
    ("looks", "joined"),
    [
        ([group(3, ids="a")], None),  # watched from here on, as its commits are
        ([group(3, ids="a"), group(3, ids="a")], None),
        ([group(3, ids=""), group(3, ids="a"), group(3, ids="a")], 1),
        ([group(3, ids="a"), group(3, ids="b"), group(3, ids="b")], 1),
        ([group(3, ids="a"), group(3, ids="ab"), group(3, ids="b")], 1),
        ([group(3, ids="a"), group(3, ids=""), group(3, ids="b"), group(3, ids=""), group(3, ids="c")], 2),
        ([group(3, ids=""), group(3, ids="a"), group(4, ids="a"), group(4, ids="a")], None),  # committed since
        ([group(3, ids=""), group(3, ids="a"), group(4, ids="a"), group(4, ids="b")], 3),
        ([group(3, ids="", end=3), group(3, ids="a", end=3), group(3, ids="a")], None),  # nothing waited then
        ([group(3, ids=""), group(3, ids="a"), *[group(3, ids="")] * 13, group(3, ids="b")], 15),  # 60 s later
    ],
)
def test_members_join_when_somebody_new_comes_and_nothing_was_committed_since(
    looks: list[GroupLag], joined: int | None
) -> None:
    found = after(*looks)
    expected = None if joined is None else START + joined * timedelta(seconds=5)
    assert (found.joined_at, found.readers(looks[-1]).joined_at) == (expected, expected)


def test_an_offset_that_falls_is_a_rewind_and_the_greatest_fall_is_told() -> None:
    rewind = after(group(50, 60, 70), group(40, 20, 70)).rewind
    assert rewind is not None
    assert (rewind.at, rewind.partition, rewind.before, rewind.after) == (LATER, 1, 60, 20)
    assert after(group(50), group(50)).rewind is None


def test_a_rewind_is_remembered() -> None:
    rewind = after(group(50), group(40), group(45)).rewind
    assert rewind is not None
    assert (rewind.at, rewind.before, rewind.after) == (LATER, 50, 40)


def test_commits_that_expired_are_a_rewind_when_the_topic_is_read_again() -> None:
    assert after(group(50), group(None)).rewind is not None


def test_a_new_partition_is_no_rewind() -> None:
    assert after(group(50), group(50, None)).rewind is None
