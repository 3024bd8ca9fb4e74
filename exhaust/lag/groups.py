"""Consumer groups and their topics, as a look at Kafka finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer that has joined a group.

    Attributes:
        id: given by Kafka, another one each time that it joins.
    """

    client: str
    host: str
    partitions: tuple[int, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """What waits in a partition.

    Attributes:
        committed: the offset that the group has committed; None when it never did.
        position: the first offset that waits.
        end: the offset of the next record that is written.
        oldest: when the record at `position` was written; None when nothing waits, or that could not be read in time.
    """

    partition: int
    committed: int | None
    position: int
    end: int
    oldest: datetime | None = None

    @property
    def messages(self) -> int:
        """The records that wait."""
        return self.end - self.position


@dataclass(frozen=True, slots=True)
class GroupLag:
    """A consumer group and its topic."""

    group: str
    topic: str
    members: tuple[Member, ...]
    partitions: tuple[PartitionLag, ...]

    @property
    def messages(self) -> int:
        """The records that wait in all partitions."""
        return sum(partition.messages for partition in self.partitions)

    @property
    def oldest(self) -> datetime | None:
        """Since when the oldest record waits."""
        return min((found.oldest for found in self.partitions if found.oldest is not None), default=None)

    @property
    def written(self) -> int:
        """How many records were ever written to the topic."""
        return sum(partition.end for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class UnseenGroup:
    """A group of which Kafka tells nothing.

    Attributes:
        why: a sentence for operators.
    """

    group: str
    topic: str
    why: str


@dataclass(frozen=True, slots=True)
class KafkaLook:
    """One look at the cluster.

    Attributes:
        groups: by the name of a group.
        told: values of the records that came to the topic of beats since the last look, or in the last minutes.
    """

    groups: Mapping[str, GroupLag | UnseenGroup]
    told: tuple[bytes, ...] = ()
