"""The status service's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from exhaust.settings import (
    CatalogueSettings,
    ConsumerSettings,
    PostgresSettings,
    ProcessSettings,
    S3Settings,
    ServiceTokenSettings,
)


class StatusSettings(
    ProcessSettings, PostgresSettings, ConsumerSettings, S3Settings, ServiceTokenSettings, CatalogueSettings
):
    """How long a download link lives, and when a request without progress is tried again."""

    # S3 (signature version 4) signs none that lives longer.
    link_lifetime: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))] = timedelta(hours=1)
    # Long enough for a day to be built.
    no_progress_after: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))] = timedelta(hours=1)
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    reap_interval: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(hours=1))] = timedelta(
        seconds=10
    )
