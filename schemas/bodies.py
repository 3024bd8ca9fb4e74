"""The field types of HTTP bodies, and the bases of their models. Each operation's model stands beside its handler."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field


class Body(BaseModel):
    """The base of models of the `request` part of a body.

    It ignores unknown fields, since clients send more than is documented, and converts nothing: 5 is not "5".
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class EmptyBody(Body):
    """The body of an operation that reads no field of `request`."""


class KeyBody(Body):
    """The body of an operation that reads the caller's license key.

    The documents call it `licenseKey`, and real clients `licensekey`.
    """

    license_key: str | None = Field(None, validation_alias=AliasChoices("licenseKey", "licensekey"))


def _whole(value: object) -> object:
    """Convert 2.0 to 2, since JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# An absent, null or blank text is missing; each handler decides if it may be.
ShortText = Annotated[str | None, Field(max_length=256)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]
OptionalNumber = Annotated[int | None, BeforeValidator(_whole)]
