"""Field types of the `request` part of HTTP bodies. Each operation has a model of its own beside its handler."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field


class Body(BaseModel):
    """The `request` part of a body, as far as an operation reads it.

    Clients send more than is documented, so unknown fields are ignored. Values are not converted: 5 is not "5".
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class EmptyBody(Body):
    """The `request` part of a body from which an operation reads nothing."""


class KeyBody(Body):
    """The `request` part of a body that holds the caller's license key.

    Real clients write `licensekey`, the documents `licenseKey`.
    """

    license_key: str | None = Field(None, validation_alias=AliasChoices("licenseKey", "licensekey"))


def _whole(value: object) -> object:
    """Convert 2.0 to 2: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# A field that is absent, null or blank is missing; the handler decides whether that is allowed.
ShortText = Annotated[str | None, Field(max_length=256)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]
OptionalNumber = Annotated[int | None, BeforeValidator(_whole)]
