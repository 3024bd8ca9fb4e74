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
    """Whose an event is that names no channel."""

    default_channel: Annotated[str, Field(min_length=1, max_length=256)] = "in.ekstep"


class AggregatorSettings(ProcessSettings, ConsumerSettings, S3RawBucketSettings, CatalogueSettings, ChannelSettings):
    """How much is done at once, and the limits of a raw object.

    cores is the number of processes that scan, and of days that are scanned at the same time. day_records is how many
    messages a worker has in hand: those that want the same day share a scan. max_object_bytes is the inflated size.
    max_ratio is inflated to stored size, and only counts once an object has given ratio_grace_bytes: small objects of
    repeated lines compress very well.
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
