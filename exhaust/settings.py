"""Typed settings from the environment, in groups that each process picks from.

Every variable starts with EXHAUST_. Secrets are SecretStr: they do not show in logs, errors or tracebacks.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_PEPPER_LENGTH: Final = 32
Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsGroup(BaseSettings):
    """Settings that are read together."""

    # hide_input_in_errors: a mistyped secret must not be printed by the error that refuses it.
    model_config = SettingsConfigDict(env_prefix="EXHAUST_", frozen=True, hide_input_in_errors=True, extra="ignore")


class ProcessSettings(SettingsGroup):
    """What every process has: its listener and its log."""

    host: str = "127.0.0.1"
    port: Port
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain_timeout: timedelta = timedelta(seconds=20)


class PostgresSettings(SettingsGroup):
    """The database, as the runtime role."""

    postgres_dsn: SecretStr
    postgres_pool_size: Annotated[int, Field(ge=1)] = 10


class OwnerSettings(SettingsGroup):
    """The database, as the role that owns the tables: migrations and administration only."""

    postgres_owner_dsn: SecretStr


class KafkaSettings(SettingsGroup):
    """The Kafka cluster."""

    kafka_bootstrap: str


class ConsumerSettings(KafkaSettings):
    """The Kafka cluster, for a member of a consumer group."""

    # A worker that dies is missed after this time; its partitions then move to the others.
    kafka_session_timeout: timedelta = timedelta(seconds=45)


class TopicSettings(KafkaSettings):
    """The Kafka cluster, for whoever creates topics."""

    kafka_partitions: Annotated[int, Field(ge=1)] = 12
    kafka_replication: Annotated[int, Field(ge=1)] = 1


class ObjectSettings(SettingsGroup):
    """The S3 store, and the bucket of archives."""

    s3_endpoint: str
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_region: str = "us-east-1"
    s3_exhaust_bucket: str


class RawObjectSettings(ObjectSettings):
    """The S3 store, and both buckets: of archives, and of raw telemetry."""

    s3_raw_bucket: str


class ServiceTokenSettings(SettingsGroup):
    """The secret that internal callers show one another."""

    service_token: Annotated[SecretStr, Field(min_length=16)]


class CatalogueSettings(SettingsGroup):
    """The file of the datasets; without one, the catalogue that ships."""

    catalogue: Path | None = None


class LicenseKeySettings(SettingsGroup):
    """The peppers of license keys: a JSON object of version number to secret; the highest is used for new keys."""

    license_key_peppers: Annotated[dict[int, SecretStr], Field(min_length=1)]

    @field_validator("license_key_peppers")
    @classmethod
    def _long_enough(cls, peppers: dict[int, SecretStr]) -> dict[int, SecretStr]:
        for version, pepper in peppers.items():
            if len(pepper.get_secret_value()) < MIN_PEPPER_LENGTH:
                raise ValueError(f"pepper {version} must have at least {MIN_PEPPER_LENGTH} characters")
        return peppers
