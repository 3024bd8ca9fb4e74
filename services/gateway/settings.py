"""The gateway's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, HttpUrl

from exhaust.settings import (
    DatasetSettings,
    KafkaSettings,
    LicenseKeySettings,
    Port,
    PostgresSettings,
    ProcessSettings,
    ServiceTokenSettings,
)


class GatewaySettings(
    ProcessSettings, PostgresSettings, KafkaSettings, LicenseKeySettings, ServiceTokenSettings, DatasetSettings
):
    """`port` is the public listener, `internal_port` the one for operators and internal services."""

    internal_port: Port
    status_url: HttpUrl
    max_in_flight_per_partner: Annotated[int, Field(ge=1)] = 4
    relay_interval: timedelta = timedelta(seconds=0.5)
