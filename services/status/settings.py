"""The status service's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from exhaust.settings import (
    CatalogueSettings,
    ConsumerSettings,
    ObjectSettings,
    PostgresSettings,
    ProcessSettings,
    ServiceTokenSettings,
)


class StatusSettings(
    ProcessSettings, PostgresSettings, ConsumerSettings, ObjectSettings, ServiceTokenSettings, CatalogueSettings
):
    """How long a download link lives, and when a request without progress is tried again."""

    link_lifetime: timedelta = timedelta(hours=1)
    no_progress_after: timedelta = timedelta(hours=1)
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    reap_interval: timedelta = timedelta(seconds=10)
