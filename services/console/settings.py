"""The console's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from exhaust.settings import CatalogueSettings, KafkaSettings, LagSettings, PostgresSettings, ProcessSettings


class ConsoleSettings(ProcessSettings, PostgresSettings, KafkaSettings, CatalogueSettings, LagSettings):
    """The settings of the console.

    Attributes:
        sample_interval: between two looks at all stages.
    """

    sample_interval: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(seconds=20))] = timedelta(
        seconds=5
    )
