"""The gateway's settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl

from exhaust.http.connections import ConnectionLimits
from exhaust.settings import (
    ConnectionSettings,
    DatasetSettings,
    KafkaSettings,
    LicenseKeySettings,
    ObjectSettings,
    Port,
    PostgresSettings,
    ProcessSettings,
    ServiceTokenSettings,
)
from services.gateway.cors import Origin
from services.gateway.limits import LimitSettings


class GatewaySettings(
    ProcessSettings,
    ConnectionSettings,
    PostgresSettings,
    KafkaSettings,
    ObjectSettings,
    LicenseKeySettings,
    ServiceTokenSettings,
    DatasetSettings,
    LimitSettings,
):
    """`port` is the public listener, `internal_port` the one for operators and internal services.

    sync_patience is how long a synchronous download may hold the line, sync_fresh_for how old a finished download may
    be that serves another call. token_issuers is the file of the issuers whose tokens are accepted; without it, none.
    cors_origins are those whose pages may call the public listener.
    """

    internal_port: Port
    status_url: HttpUrl
    max_in_flight_per_partner: Annotated[int, Field(ge=1)] = 4
    sync_patience: timedelta = timedelta(seconds=40)
    sync_fresh_for: timedelta = timedelta(minutes=5)
    token_issuers: Path | None = None
    cors_origins: frozenset[Origin] = frozenset()
    relay_interval: timedelta = timedelta(seconds=0.5)

    def connection_limits(self) -> ConnectionLimits:
        """What the public listener bears. Behind a proxy one address stands for many callers, so it has no maximum."""
        per_address = None if self.trusted_proxies else self.max_connections_per_address
        return ConnectionLimits(self.max_connections, per_address, self.header_timeout)
