"""The servers and secrets that the command uses, and the name under which it acts."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer
from pydantic import SecretStr, ValidationError

from exhaust.postgres.database import COMMAND_TIMEOUT, open_database
from exhaust.settings import (
    KafkaSettings,
    LagSettings,
    LicenseKeySettings,
    OwnerSettings,
    S3RawBucketSettings,
    TopicSettings,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from exhaust.postgres.database import Database

STACK_FILE: Final = Path(".local/stack.json")
_PEPPERS: Final = "EXHAUST_LICENSE_KEY_PEPPERS"
_Result = TypeVar("_Result")


def run_on_database(
    work: Callable[[Database], Awaitable[_Result]], *, command_timeout: timedelta = COMMAND_TIMEOUT, pool_size: int = 1
) -> _Result:
    """Run work, of which each statement may take that long, on the database as its owner, and return its result.

    Args:
        work: it may use so many connections at once.
        command_timeout: of a statement.
        pool_size: the connections.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE, or what the work raises.
        typer.BadParameter: nothing says where the database is.
    """

    async def run() -> _Result:
        async with open_database(_owner_dsn(), pool_size=pool_size, command_timeout=command_timeout) as database:
            return await work(database)

    return asyncio.run(run())


def peppers() -> Mapping[int, SecretStr]:
    """Return the peppers of license keys: from the environment, else of the local stack whose database is used.

    Raises:
        pydantic.ValidationError: there are none, or they are no good.
    """
    if _PEPPERS in os.environ or "EXHAUST_POSTGRES_OWNER_DSN" in os.environ or not STACK_FILE.exists():
        return LicenseKeySettings().license_key_peppers
    # The stack keeps its pepper in a second file beside its addresses, because it must survive a restart.
    kept = _read(STACK_FILE.resolve().with_name("settings.json"))
    return {1: SecretStr(kept["secrets"]["pepper"])}


def topic_settings() -> TopicSettings:
    """Return Kafka's settings: from the environment, else of the local stack that runs in this folder.

    Raises:
        pydantic.ValidationError: neither says where it is.
    """
    if "EXHAUST_KAFKA_BOOTSTRAP" in os.environ or not STACK_FILE.exists():
        return TopicSettings()
    stack = _read(STACK_FILE)
    fields = {"kafka_bootstrap": stack["kafka"]}
    if stack.get("kafka_username"):
        user = {"kafka_sasl_username": stack["kafka_username"], "kafka_sasl_password": stack["kafka_password"]}
        fields |= user | {"kafka_security_protocol": "SASL_PLAINTEXT"}
    return TopicSettings.model_validate(fields)


def lag_kafka() -> KafkaSettings | None:
    """Return Kafka's settings as topic_settings() does, or None when nothing says where Kafka is."""
    return topic_settings() if "EXHAUST_KAFKA_BOOTSTRAP" in os.environ or _is_stack_used() else None


def lag_dsn() -> SecretStr | None:
    """Return the database's address, or None when nothing says where it is."""
    if "EXHAUST_POSTGRES_OWNER_DSN" in os.environ or _is_stack_used():
        return _owner_dsn()
    return None


def lag_settings() -> LagSettings:
    """Return the times from which on something is the matter; those of the local stack where it is looked at."""
    kept = _read(STACK_FILE).get("lag", {}) if _is_stack_used() else {}
    unset = {name: value for name, value in kept.items() if f"EXHAUST_{name.upper()}" not in os.environ}
    return LagSettings.model_validate(LagSettings().model_dump() | unset)


def _is_stack_used() -> bool:
    """Return True when the local stack that runs in this folder is meant: nothing in the environment names another."""
    named = {"EXHAUST_KAFKA_BOOTSTRAP", "EXHAUST_POSTGRES_OWNER_DSN"} & os.environ.keys()
    return not named and STACK_FILE.exists()


def bucket_settings() -> S3RawBucketSettings:
    """Return the S3 store's settings: from the environment, else of the local stack that runs in this folder.

    Raises:
        pydantic.ValidationError: neither says where it is.
    """
    if "EXHAUST_S3_ENDPOINT" in os.environ or not STACK_FILE.exists():
        return S3RawBucketSettings()
    return S3RawBucketSettings.model_validate({f"s3_{name}": value for name, value in _read(STACK_FILE)["s3"].items()})


def audit_actor() -> str:
    """Return the actor that the audit names for this command; the database puts its own user before the name."""
    return f"operator/{getpass.getuser()}"


def _owner_dsn() -> SecretStr:
    """Return the database's address: from the environment, else of the local stack that runs in this folder."""
    try:
        return OwnerSettings().postgres_owner_dsn
    except ValidationError:
        if not STACK_FILE.exists():
            raise typer.BadParameter(
                f"set EXHAUST_POSTGRES_OWNER_DSN, or run this where a local stack runs ({STACK_FILE} is not here)"
            ) from None
        return SecretStr(_read(STACK_FILE)["postgres"])


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content
