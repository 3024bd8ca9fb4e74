"""The aggregator's settings."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

from pydantic import ByteSize, Field

from exhaust.settings import (
    CatalogueSettings,
    ConsumerSettings,
    ProcessSettings,
    RawObjectSettings,
    SettingsGroup,
)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ChannelSettings(SettingsGroup):
    """Whose an event is that names no channel."""

    default_channel: Annotated[str, Field(min_length=1)] = "in.ekstep"


class AggregatorSettings(ProcessSettings, ConsumerSettings, RawObjectSettings, CatalogueSettings, ChannelSettings):
    """How much is done at once, and the limits of a raw object.

    cores is the number of processes that scan, and of days that are scanned at the same time. day_records is how many
    messages a worker has in hand: those that want the same day share a scan. max_object_bytes is the inflated size.
    max_ratio is inflated to stored size, and only counts once an object has given ratio_grace_bytes: small objects of
    repeated lines compress very well.
    """

    cores: Annotated[int, Field(ge=1)] = Field(default_factory=_usable_cores)
    day_records: Annotated[int, Field(ge=1)] = 64
    retry_for: timedelta = timedelta(minutes=5)
    max_line_bytes: ByteSize = ByteSize(1024 * 1024)
    max_object_bytes: ByteSize = ByteSize(64 * 1024**3)
    max_ratio: Annotated[int, Field(ge=1)] = 400
    ratio_grace_bytes: ByteSize = ByteSize(64 * 1024**2)
    max_members: Annotated[int, Field(ge=1)] = 1_000_000
    abandoned_after: timedelta = timedelta(days=1)
