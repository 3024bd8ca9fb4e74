"""The status service's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from exhaust.settings import (
    CatalogueSettings,
    ConsumerSettings,
    DaySettings,
    DrainSettings,
    PostgresSettings,
    ProcessSettings,
    ReleaseSettings,
    RetentionSettings,
    S3Settings,
    ServiceTokenSettings,
    WebhookSettings,
)


class StatusSettings(
    ProcessSettings,
    DrainSettings,
    PostgresSettings,
    ConsumerSettings,
    S3Settings,
    ServiceTokenSettings,
    CatalogueSettings,
    DaySettings,
    RetentionSettings,
    WebhookSettings,
    ReleaseSettings,
):
    """The settings of the status service.

    Attributes:
        link_lifetime: of a download link.
        no_progress_after: when a request without progress is tried again.
        max_attempts: how often a request is tried.
        reap_interval: between two searches for requests without progress.
        prune_interval: between two removals of old rows.
        webhook_interval: between two looks for due deliveries to webhooks, besides at each new one.
    """

    # S3 signs no link that lives longer (signature version 4).
    link_lifetime: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))] = timedelta(hours=1)
    # At least as long as a worker needs to build a day.
    no_progress_after: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))] = timedelta(hours=1)
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    reap_interval: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(hours=1))] = timedelta(
        seconds=10
    )
    prune_interval: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=5)
    webhook_interval: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(minutes=5))] = timedelta(
        seconds=1
    )
