"""The memory of a consumer group: what one look at it cannot tell, and two can.

A first look has nothing to compare with. Then a group counts as watched from now on, and a group without members as
without them since its oldest record waits: who had read it would have read that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.lag.stages import Readers, Rewind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exhaust.lag.groups import GroupLag

# Who joins after so long an absence makes a new beginning. One that fails and comes again at once makes none.
LONG_ABSENCE: Final = timedelta(seconds=60)
# Who has told nothing for longer before the group was empty says nothing about when its members went.
LAST_WORD_WITHIN: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """What is remembered of a group and its topic.

    Attributes:
        done: a counter of committed records, which never falls.
        written: a counter of the records on the topic, which never falls.
        positions: by partition, the first offset that waited.
        committed_at: when a committed offset was last seen to grow, or when the group was first seen.
        absent_since: since when nobody is known to have read; None while it has members.
        rewind: the last time that an offset fell.
        members: ids of its members; None when they are not known.
        joined_at: when the first of them joined since something waits, or since a commit, or after a long absence; None
            when nobody has.
    """

    done: int
    written: int
    positions: Mapping[int, int] = field(default_factory=dict)
    committed_at: datetime | None = None
    absent_since: datetime | None = None
    rewind: Rewind | None = None
    members: frozenset[str] | None = None
    joined_at: datetime | None = None

    def readers(self, group: GroupLag) -> Readers:
        """Return the group as a stage's readers."""
        return Readers(group.group, len(group.members), self.absent_since, self.committed_at, self.joined_at)


def remember(
    group: GroupLag, before: GroupMemory | None, at: datetime, heard_at: datetime | None = None
) -> GroupMemory:
    """Return the memory after another look at a group.

    Args:
        group: as it was found.
        before: the memory after the look before; None of a first look.
        at: the time of the look.
        heard_at: when one of its members was last heard of elsewhere; None of a group whose members tell nothing. Kafka
            keeps a member that is gone for a whole session timeout, in which nobody has read.
    """
    positions = {partition.partition: partition.position for partition in group.partitions}
    members = frozenset(member.id for member in group.members)
    if before is None:
        absent_since = None if group.members else group.oldest or at
        return GroupMemory(_committed(group), group.written, positions, at, absent_since, members=members)
    grown = sum(
        max(partition.position - before.positions.get(partition.partition, partition.position), 0)
        for partition in group.partitions
        if partition.committed is not None
    )
    return GroupMemory(
        done=before.done + grown,
        written=max(before.written, group.written),
        positions=positions,
        committed_at=at if grown else before.committed_at,
        absent_since=None if group.members else before.absent_since or _gone_since(before, at, heard_at),
        rewind=_rewind(group, before, at) or before.rewind,
        members=members,
        joined_at=None if grown or not group.messages else _joined(members, before, at),
    )


def _committed(group: GroupLag) -> int:
    return sum(partition.committed or 0 for partition in group.partitions)


def _gone_since(before: GroupMemory, at: datetime, heard_at: datetime | None) -> datetime:
    """Return since when nobody is known to have read, of a group that was just found without members."""
    if heard_at is None or at - heard_at > LAST_WORD_WITHIN:
        return at
    return min(max(heard_at, before.committed_at or heard_at), at)


def _joined(members: frozenset[str], before: GroupMemory, at: datetime) -> datetime | None:
    """Return when somebody joined first; members that come and go without a commit do not move it."""
    absent = before.absent_since
    if not members:
        return None if absent and at - absent >= LONG_ABSENCE else before.joined_at
    if before.members is None or members <= before.members:
        return before.joined_at
    return before.joined_at or at


def _rewind(group: GroupLag, before: GroupMemory, at: datetime) -> Rewind | None:
    """Return the greatest fall of an offset since the look before."""
    falls = [
        Rewind(at, group.topic, partition.partition, earlier, partition.position)
        for partition in group.partitions
        if (earlier := before.positions.get(partition.partition, 0)) > partition.position
    ]
    return max(falls, key=lambda fall: fall.before - fall.after, default=None)
