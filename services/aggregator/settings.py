"""The aggregator's settings."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

from pydantic import ByteSize, Field

from exhaust.settings import DatasetSettings, KafkaSettings, ObjectSettings, ProcessSettings


class AggregatorSettings(ProcessSettings, KafkaSettings, ObjectSettings, DatasetSettings):
    """How much is done at once, and the limits of a raw object.

    max_object_bytes is the inflated size. max_ratio is inflated to stored size, and only counts once an object has
    given ratio_grace_bytes: small objects of repeated lines compress very well.
    """

    day_concurrency: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: os.cpu_count() or 1)
    retry_for: timedelta = timedelta(minutes=5)
    max_line_bytes: ByteSize = ByteSize(1024 * 1024)
    max_object_bytes: ByteSize = ByteSize(64 * 1024**3)
    max_ratio: Annotated[int, Field(ge=1)] = 400
    ratio_grace_bytes: ByteSize = ByteSize(64 * 1024**2)
