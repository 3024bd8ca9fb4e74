"""The aggregator's settings."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated, Final

from pydantic import ByteSize, Field

from exhaust.settings import (
    CatalogueSettings,
    ConsumerSettings,
    ProcessSettings,
    S3RawBucketSettings,
    SettingsGroup,
)

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
MAX_CORES: Final = 32  # as many objects as are read from S3 at once


def _usable_cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_CORES)


class ChannelSettings(SettingsGroup):
    """The channel of events that name none."""

    default_channel: Annotated[str, Field(min_length=1, max_length=256)] = "in.ekstep"


class AggregatorSettings(ProcessSettings, ConsumerSettings, S3RawBucketSettings, CatalogueSettings, ChannelSettings):
    """The settings of the aggregator.

    Attributes:
        cores: how many processes scan, and how many days are scanned at once.
        day_records: how many messages a worker handles at once; those that ask for the same day share a scan.
        retry_for: how long a piece of work is retried.
        max_line_bytes: of a line of a raw object.
        max_object_bytes: of a raw object, inflated.
        max_ratio: of the inflated size of a raw object to its stored size.
        ratio_grace_bytes: the inflated size from which on max_ratio counts; small objects of repeated lines compress
            very well.
        max_members: compressed members of a raw object.
        abandoned_after: the age from which an unfinished upload counts as abandoned.
    """

    cores: Annotated[int, Field(ge=1, le=MAX_CORES)] = Field(default_factory=_usable_cores)
    day_records: Annotated[int, Field(ge=1, le=1000)] = 64
    retry_for: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=5)
    max_line_bytes: Annotated[ByteSize, Field(ge=KIB, le=64 * MIB)] = ByteSize(MIB)
    max_object_bytes: Annotated[ByteSize, Field(ge=KIB, le=1024 * GIB)] = ByteSize(64 * GIB)
    max_ratio: Annotated[int, Field(ge=1, le=1_000_000)] = 400
    ratio_grace_bytes: Annotated[ByteSize, Field(ge=0, le=64 * GIB)] = ByteSize(64 * MIB)
    max_members: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    abandoned_after: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=30))] = timedelta(days=1)
