"""The memory of a consumer group: what one look at it cannot tell, and two can.

A first look has nothing to compare with. Then a group counts as watched from now on, and a group without members as
without them since its oldest record waits: who had read it would have read that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exhaust.lag.stages import Readers, Rewind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exhaust.lag.groups import GroupLag


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """What is remembered of a group and its topic.

    Attributes:
        done: a counter of committed records, which never falls.
        written: a counter of the records on the topic, which never falls.
        positions: by partition, the first offset that waited.
        committed_at: when a committed offset was last seen to grow, or when the group was first seen.
        absent_since: since when it has no members; None while it has some.
        rewind: the last time that an offset fell.
    """

    done: int
    written: int
    positions: Mapping[int, int] = field(default_factory=dict)
    committed_at: datetime | None = None
    absent_since: datetime | None = None
    rewind: Rewind | None = None

    def readers(self, group: GroupLag) -> Readers:
        """Return the group as a stage's readers."""
        return Readers(group.group, len(group.members), self.absent_since, self.committed_at)


def remember(group: GroupLag, before: GroupMemory | None, at: datetime) -> GroupMemory:
    """Return the memory after another look at a group.

    Args:
        group: as it was found.
        before: the memory after the look before; None of a first look.
        at: the time of the look.
    """
    positions = {partition.partition: partition.position for partition in group.partitions}
    if before is None:
        absent_since = None if group.members else group.oldest or at
        return GroupMemory(_committed(group), group.written, positions, at, absent_since)
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
        absent_since=None if group.members else before.absent_since or at,
        rewind=_rewind(group, before, at) or before.rewind,
    )


def _committed(group: GroupLag) -> int:
    return sum(partition.committed or 0 for partition in group.partitions)


def _rewind(group: GroupLag, before: GroupMemory, at: datetime) -> Rewind | None:
    """Return the greatest fall of an offset since the look before."""
    falls = [
        Rewind(at, group.topic, partition.partition, earlier, partition.position)
        for partition in group.partitions
        if (earlier := before.positions.get(partition.partition, 0)) > partition.position
    ]
    return max(falls, key=lambda fall: fall.before - fall.after, default=None)
