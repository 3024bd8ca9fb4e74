"""Typed settings from the environment, in groups that each process picks from.

Every variable starts with EXHAUST_. Secrets are SecretStr: they do not show in logs, errors or tracebacks. Numbers,
durations, texts and collections have bounds. Both bounds are legal: a process does its work with either.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_PEPPER_LENGTH: Final = 32
MAX_PEPPER_LENGTH: Final = 1024
MAX_PEPPER_VERSION: Final = 2**31 - 1  # as PostgreSQL's integer
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]]+)(:\d{1,5})?")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def _postgres_address(dsn: SecretStr) -> SecretStr:
    if not dsn.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("a database is written postgresql://user:password@host:port/database")
    return dsn


def _brokers(text: str) -> str:
    if not all(_BROKER.fullmatch(broker.strip()) for broker in text.split(",")):
        raise ValueError("brokers are written host:port, with commas between them")
    return text


def _store_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a store is written https://host or https://host:port")
    return text


def _header_text(token: SecretStr) -> SecretStr:
    if not _PRINTABLE.fullmatch(token.get_secret_value()):
        raise ValueError("a token has printable ASCII characters alone, and no space at its ends")
    return token


_ROWS_KEPT: Final = Field(ge=timedelta(minutes=1), le=timedelta(days=3650))
Port = Annotated[int, Field(ge=1, le=65535)]
Dsn = Annotated[SecretStr, AfterValidator(_postgres_address)]
BearerToken = Annotated[SecretStr, Field(min_length=16, max_length=1024), AfterValidator(_header_text)]
SaslUsername = Annotated[str, Field(min_length=1, max_length=255)]
SaslPassword = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
StoreKey = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
Bucket = Annotated[str, Field(min_length=3, max_length=255, pattern=r"^[A-Za-z0-9._-]*$")]


class SettingsGroup(BaseSettings):
    """Settings that are read together."""

    # hide_input_in_errors: a mistyped secret must not be printed by the error that refuses it.
    model_config = SettingsConfigDict(env_prefix="EXHAUST_", frozen=True, hide_input_in_errors=True, extra="ignore")


class ProcessSettings(SettingsGroup):
    """The listener and the log of a process."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Port
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class DrainSettings(SettingsGroup):
    """The end of a process that answers calls: for how long it goes on after SIGTERM, while it is not ready."""

    drain_delay: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(seconds=30))] = timedelta(seconds=5)


class PostgresSettings(SettingsGroup):
    """The database, as the runtime role."""

    postgres_dsn: Dsn
    # A periodic loop may hold one, so callers need another.
    postgres_pool_size: Annotated[int, Field(ge=2, le=1000)] = 10
    # After this time without a statement, the server ends a transaction and frees its locks.
    postgres_idle_timeout: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(
        seconds=10
    )


class RetentionSettings(SettingsGroup):
    """How long rows are kept.

    Attributes:
        keep_requests: requests that have ended; afterwards they are unknown, and so are their Idempotency-Keys, which
            count for a day.
        keep_parked: requests that nobody could handle.
        keep_inbox: completion events that were applied; longer than their topic keeps them.
        keep_webhook_deliveries: what webhooks were told, or will be; longer than it is tried.
    """

    keep_requests: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3650))] = timedelta(days=90)
    keep_parked: Annotated[timedelta, _ROWS_KEPT] = timedelta(days=90)
    keep_inbox: Annotated[timedelta, _ROWS_KEPT] = timedelta(days=14)
    keep_webhook_deliveries: Annotated[timedelta, Field(ge=timedelta(days=4), le=timedelta(days=3650))] = timedelta(
        days=30
    )


class AuditRetentionSettings(SettingsGroup):
    """How long the audit is kept in the database."""

    keep_audit: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3650))] = timedelta(days=365)


class OwnerSettings(SettingsGroup):
    """The database, as the role that owns the tables: migrations and administration only."""

    postgres_owner_dsn: Dsn


class KafkaSettings(SettingsGroup):
    """The Kafka cluster, and as whom it is called."""

    kafka_bootstrap: Annotated[str, AfterValidator(_brokers)]
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: SaslUsername | None = None
    kafka_sasl_password: SaslPassword | None = None

    @model_validator(mode="after")
    def _both_credentials_or_none(self) -> Self:
        given = {self.kafka_sasl_username is not None, self.kafka_sasl_password is not None}
        if given != {self.kafka_security_protocol.startswith("SASL_")}:
            raise ValueError(
                "set EXHAUST_KAFKA_SASL_USERNAME and EXHAUST_KAFKA_SASL_PASSWORD when EXHAUST_KAFKA_SECURITY_PROTOCOL"
                " is SASL_PLAINTEXT or SASL_SSL, and neither of them otherwise"
            )
        return self


class ConsumerSettings(KafkaSettings):
    """The Kafka cluster, for a member of a consumer group."""

    # After this time without a heartbeat Kafka gives a worker's partitions to the others. Brokers have bounds of their
    # own: by default group.min.session.timeout.ms is 6 s and group.max.session.timeout.ms is 30 minutes.
    kafka_session_timeout: Annotated[timedelta, Field(ge=timedelta(seconds=2), le=timedelta(minutes=30))] = timedelta(
        seconds=45
    )
    # So many dead letters by defects, and more than so many percent of what ended within the window, hold the consumer.
    dead_letter_limit: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    dead_letter_percent: Annotated[int, Field(ge=0, le=100)] = 50
    dead_letter_window: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(
        minutes=5
    )
    drain_timeout: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(hours=1))] = timedelta(seconds=20)


class TopicSettings(KafkaSettings):
    """The Kafka cluster, for whoever creates topics."""

    kafka_partitions: Annotated[int, Field(ge=1, le=1000)] = 12
    kafka_replication: Annotated[int, Field(ge=1, le=100)] = 1


class StoreSettings(SettingsGroup):
    """The S3 store.

    Without keys, those of the platform count: of a profile, a web identity or the role of the machine.
    """

    s3_endpoint: Annotated[str, AfterValidator(_store_address)]
    s3_access_key: StoreKey | None = None
    s3_secret_key: StoreKey | None = None
    s3_region: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9-]*$")] = "us-east-1"

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> Self:
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("set both EXHAUST_S3_ACCESS_KEY and EXHAUST_S3_SECRET_KEY, or neither of them")
        return self


class S3Settings(StoreSettings):
    """The S3 store, and the bucket of archives."""

    s3_exhaust_bucket: Bucket


class RawStoreSettings(StoreSettings):
    """The S3 store, and the bucket of raw telemetry."""

    s3_raw_bucket: Bucket


class S3RawBucketSettings(S3Settings, RawStoreSettings):
    """The S3 store, and both buckets: of archives, and of raw telemetry."""


class ServiceTokenSettings(SettingsGroup):
    """The secret of internal calls."""

    service_token: BearerToken


class CatalogueSettings(SettingsGroup):
    """The file of the datasets; without one, the catalogue that ships."""

    catalogue: Path | None = None


class DaySettings(SettingsGroup):
    """The days of telemetry.

    Attributes:
        day_zone: the time zone in which "today" is.
        day_closes_after: how long after its end telemetry of a day still arrives.
    """

    day_zone: ZoneInfo = ZoneInfo("UTC")
    day_closes_after: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=7))] = timedelta(hours=4)


class ReleaseSettings(SettingsGroup):
    """The relay's limit: released and unfinished requests that a partner may have."""

    max_in_flight_per_partner: Annotated[int, Field(ge=1, le=10_000)] = 4


class LagSettings(ReleaseSettings):
    """The times from which on something is the matter with a stage.

    Attributes:
        oldest_target: how long anything should wait in a stage at most.
        nobody_after: how long a group may be without members, as in a restart.
        stuck_after: how long members may neither commit nor tell of progress.
    """

    oldest_target: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=7))] = timedelta(minutes=30)
    nobody_after: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = timedelta(minutes=1)
    stuck_after: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=5)


class LicenseKeySettings(SettingsGroup):
    """The peppers of license keys: a JSON object of version number to secret; the highest is used for new keys."""

    license_key_peppers: Annotated[dict[int, SecretStr], Field(min_length=1, max_length=16)]

    @field_validator("license_key_peppers")
    @classmethod
    def _within_bounds(cls, peppers: dict[int, SecretStr]) -> dict[int, SecretStr]:
        return _versioned("pepper", peppers)


class WebhookSettings(SettingsGroup):
    """Webhooks of license keys' holders.

    Attributes:
        webhook_keys: a JSON object of version number to the secret under which secrets of webhooks are stored; the
            highest seals new ones. Without it there are no webhooks.
        webhook_networks: networks that webhooks may lead to beside the public internet, there also by http.
    """

    webhook_keys: Annotated[dict[int, SecretStr], Field(min_length=1, max_length=16)] | None = None
    webhook_networks: Annotated[frozenset[IPv4Network | IPv6Network], Field(min_length=0, max_length=100)] = frozenset()

    @field_validator("webhook_keys")
    @classmethod
    def _webhook_keys_within_bounds(cls, keys: dict[int, SecretStr] | None) -> dict[int, SecretStr] | None:
        return None if keys is None else _versioned("webhook key", keys)


def _versioned(what: str, secrets: dict[int, SecretStr]) -> dict[int, SecretStr]:
    for version, secret in secrets.items():
        if not 0 <= version <= MAX_PEPPER_VERSION:
            raise ValueError(f"a {what}'s version is a number from 0 to {MAX_PEPPER_VERSION}")
        length = len(secret.get_secret_value())
        if length < MIN_PEPPER_LENGTH:
            raise ValueError(f"{what} {version} must have at least {MIN_PEPPER_LENGTH} characters")
        if length > MAX_PEPPER_LENGTH:
            raise ValueError(f"{what} {version} must have at most {MAX_PEPPER_LENGTH} characters")
    return secrets
