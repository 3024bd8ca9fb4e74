"""The console's settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from exhaust.settings import (
    CatalogueSettings,
    KafkaSettings,
    LagSettings,
    PostgresSettings,
    ProcessSettings,
    RawStoreSettings,
)
from services.console.access_settings import AccessSettings, is_loopback

OWN_RUNBOOKS: Final = "/runbooks/"
_PREFIX: Final = re.compile(r"/|(/[A-Za-z0-9._~-]+)+", re.ASCII)
_ADDRESS: Final = re.compile(r"https?://[!-~]+/", re.ASCII)


def _prefix(path: str) -> str:
    if not _PREFIX.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("a prefix is written /exhaust or /operators/exhaust, without a slash at its end")
    return path


def _address(base: str) -> str:
    if base != OWN_RUNBOOKS and not _ADDRESS.fullmatch(base):
        raise ValueError("the start of an address is written https://host/path/, with a slash at its end")
    return base


class ConsoleSettings(
    ProcessSettings,
    PostgresSettings,
    KafkaSettings,
    RawStoreSettings,
    CatalogueSettings,
    LagSettings,
    AccessSettings,
):
    """The settings of the console.

    Attributes:
        sample_interval: between two looks at all stages.
        console_prefix: the path under which pages are mounted.
        runbook_base: the start of the address of runbooks; OWN_RUNBOOKS are the console's own pages.
    """

    sample_interval: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(seconds=20))] = timedelta(
        seconds=5
    )
    console_prefix: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_prefix)] = "/"
    runbook_base: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_address)] = OWN_RUNBOOKS

    @model_validator(mode="after")
    def _operators_at_loopback_alone(self) -> Self:
        if self.console_loopback_role == "operator" and (self.console_proxies or not is_loopback(self.host)):
            raise ValueError(
                "EXHAUST_CONSOLE_LOOPBACK_ROLE is operator, which is for a machine of one person: EXHAUST_HOST must be"
                " 127.0.0.1, ::1 or localhost, and EXHAUST_CONSOLE_PROXIES must be empty"
            )
        return self
