"""The gateway's settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, ByteSize, Field, HttpUrl, SecretStr, model_validator

from exhaust.http.connections import MAX_OPEN_FILES, ConnectionLimits
from exhaust.http.endpoint import HANDLER_TIMEOUT
from exhaust.settings import (
    BearerToken,
    CatalogueSettings,
    DaySettings,
    DrainSettings,
    KafkaSettings,
    LicenseKeySettings,
    Port,
    PostgresSettings,
    ProcessSettings,
    ReleaseSettings,
    S3Settings,
    ServiceTokenSettings,
    SettingsGroup,
    WebhookSettings,
)
from services.gateway.cors import Origin

# For everything in a synchronous download but its wait: authentication, the request itself, the last look.
_REST_OF_THE_CALL: Final = timedelta(seconds=5)
MIB: Final = 1024**2
TIB: Final = 1024**4
MAX_SYNC_TIMEOUT: Final = HANDLER_TIMEOUT - _REST_OF_THE_CALL
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
ClientSecret = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
MAX_CONNECTIONS: Final = MAX_OPEN_FILES // 2  # a listener never accepts more


class LimitSettings(SettingsGroup):
    """The limits of one caller on the public listener.

    Attributes:
        holder_calls_per_minute: of one license key.
        address_calls_per_minute: from one address.
        max_open_requests_per_partner: accepted and unfinished requests.
        max_days_built_per_key: days of telemetry that the aggregators build for one license key on a day of UTC.
        max_bytes_built_per_key: of the lines in them, uncompressed.
        trusted_proxies: how many proxies stand before the gateway; that entry of X-Forwarded-For, counted from its
            end, is the caller's address. 0 takes the connection's.
        registrations_per_hour: from one address.
        registration: who may register a client.
        registration_token: what a caller shows when registration is "token".
    """

    holder_calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] = 6000
    address_calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] = 12_000
    max_open_requests_per_partner: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    max_days_built_per_key: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10_000
    max_bytes_built_per_key: Annotated[ByteSize, Field(ge=MIB, le=1024 * TIB)] = ByteSize(TIB)
    trusted_proxies: Annotated[int, Field(ge=0, le=100)] = 0
    registrations_per_hour: Annotated[int, Field(ge=1, le=1_000_000_000)] = 60
    registration: Literal["open", "proven", "token", "closed"] = "open"
    registration_token: BearerToken | None = None

    @model_validator(mode="after")
    def _token_is_there(self) -> Self:
        if self.registration == "token" and self.registration_token is None:
            raise ValueError("EXHAUST_REGISTRATION is token, so EXHAUST_REGISTRATION_TOKEN must be set too")
        return self


class ShareSettings(SettingsGroup):
    """The calls of one license key that may be at work at once, by their kind."""

    max_waits_per_key: Annotated[int, Field(ge=1, le=1000)] = 16
    max_lists_per_key: Annotated[int, Field(ge=1, le=1000)] = 4
    max_downloads_per_key: Annotated[int, Field(ge=1, le=1000)] = 8


class ConnectionSettings(SettingsGroup):
    """The limits of connections to the public listener.

    Attributes:
        header_timeout: how long the headers of a request may take.
        least_read_speed: bytes a second that a caller must read of an answer.
        read_window: the time over which that speed is averaged.
    """

    max_connections: Annotated[int, Field(ge=1, le=MAX_CONNECTIONS)] = 10_000
    max_connections_per_address: Annotated[int, Field(ge=1, le=MAX_CONNECTIONS)] = 256
    # Less than the 30 s of keep-alive, which would end the connection first, without an answer.
    header_timeout: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(seconds=29))] = timedelta(
        seconds=10
    )
    least_read_speed: Annotated[int, Field(ge=1, le=1_000_000_000)] = 16_384
    read_window: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(seconds=30)


class IssuerSettings(SettingsGroup):
    """The issuer of tokens at which partners may sign in to the portal.

    Attributes:
        portal_issuer: the file that names it, written as that of `token_issuers`; its audience is our client id.
        portal_authorization_url: where a browser is sent.
        portal_token_url: where the gateway exchanges a code.
        portal_client_secret: of our client; without one it is a public client.
    """

    portal_issuer: Path | None = None
    portal_authorization_url: HttpUrl | None = None
    portal_token_url: HttpUrl | None = None
    portal_client_secret: ClientSecret | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        urls = {
            "EXHAUST_PORTAL_AUTHORIZATION_URL": self.portal_authorization_url,
            "EXHAUST_PORTAL_TOKEN_URL": self.portal_token_url,
        }
        for name, address in urls.items():
            if (address is None) != (self.portal_issuer is None):
                raise ValueError(f"EXHAUST_PORTAL_ISSUER and {name} go together")
            if address and address.scheme != "https" and address.host not in _LOOPBACK:
                raise ValueError(f"{name} must begin with https://")
        return self


class GatewaySettings(
    ProcessSettings,
    DrainSettings,
    ConnectionSettings,
    PostgresSettings,
    KafkaSettings,
    S3Settings,
    LicenseKeySettings,
    ServiceTokenSettings,
    CatalogueSettings,
    DaySettings,
    ReleaseSettings,
    LimitSettings,
    ShareSettings,
    WebhookSettings,
    IssuerSettings,
):
    """The settings of the gateway.

    Attributes:
        port: of the public listener.
        internal_port: of the listener for operators and internal services.
        status_url: of the status service.
        sync_timeout: how long a synchronous download waits before it answers 503.
        sync_fresh_for: how old a finished download may be that serves another synchronous call.
        token_issuers: the file of the issuers whose tokens are accepted; without it, none are.
        cors_origins: the origins whose pages may call the public listener.
        relay_interval: between two looks at the outbox, unless a submit wakes the relay.
        release_timeout: after which another gateway publishes a request that this one has claimed.
        portal: whether the public listener has the portal's pages.
    """

    internal_port: Port
    status_url: HttpUrl
    sync_timeout: Annotated[
        timedelta,
        Field(
            ge=timedelta(seconds=1),
            le=MAX_SYNC_TIMEOUT,
            validation_alias=AliasChoices("EXHAUST_SYNC_TIMEOUT", "EXHAUST_SYNC_PATIENCE"),  # the second until 0.3.0
        ),
    ] = timedelta(seconds=40)
    # Longer than the Retry-After of an unfinished download, so that the next call finds it finished.
    sync_fresh_for: Annotated[timedelta, Field(ge=timedelta(seconds=30), le=timedelta(days=1))] = timedelta(minutes=5)
    token_issuers: Path | None = None
    cors_origins: Annotated[frozenset[Origin], Field(min_length=0, max_length=1000)] = frozenset()
    relay_interval: Annotated[timedelta, Field(ge=timedelta(milliseconds=10), le=timedelta(minutes=5))] = timedelta(
        milliseconds=500
    )
    # Longer than a send may take: what is published twice counts once, and costs twice.
    release_timeout: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(
        seconds=20
    )
    portal: Literal["on", "off"] = "on"

    @model_validator(mode="after")
    def _two_listeners(self) -> Self:
        if self.internal_port == self.port:
            raise ValueError("EXHAUST_INTERNAL_PORT must be another port than EXHAUST_PORT")
        return self

    def connection_limits(self) -> ConnectionLimits:
        """Return the limits of connections. Behind proxies an address has none, since it stands for many callers."""
        per_address = None if self.trusted_proxies else self.max_connections_per_address
        return ConnectionLimits(
            self.max_connections,
            per_address,
            self.header_timeout,
            read_window=self.read_window,
            least_read_speed=self.least_read_speed,
        )
