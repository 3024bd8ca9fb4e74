"""What each action of the console reads of a form or a JSON object; other fields are refused by name."""

from __future__ import annotations

from typing import Annotated, Final, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.operations.orders import MAX_REASON_LENGTH
from exhaust.violations import violations

MAX_TARGETS: Final = 1000  # of one call; their ids fit into a body
_Text = Annotated[str, Field(min_length=1, max_length=1024)]
_Letter = Annotated[str, Field(min_length=3, max_length=40)]


class Ask(BaseModel):
    """What every action reads.

    Attributes:
        reason: in the operator's words.
        dryrun: change nothing, and say what would be done.
        confirmed: of a form: the operator has seen what would be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_LENGTH)]
    dryrun: bool = False
    confirmed: bool = False

    def again(self) -> list[tuple[str, str]]:
        """Return the fields of a form that asks for the same once more."""
        told = self.model_dump(mode="json", exclude={"dryrun", "confirmed"}, exclude_none=True)
        return [
            (name, str(one)) for name, value in told.items() for one in (value if isinstance(value, list) else [value])
        ]


class RequestsAsk(Ask):
    """Requests by their ids."""

    targets: Annotated[list[UUID], Field(min_length=1, max_length=MAX_TARGETS)]


class CauseAsk(Ask):
    """Requests that failed by one cause."""

    code: _Text
    object: _Text | None = None
    dataset: _Text | None = None
    source: _Text | None = None


class PauseAsk(Ask):
    """A partner, by its plain id or its resource id, or a dataset."""

    partner: _Text | None = None
    resource: _Text | None = None
    dataset: _Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.partner, self.resource, self.dataset)) != 1:
            raise ValueError("give exactly one of partner, resource and dataset")
        return self


class LettersAsk(Ask):
    """Dead letters by their places, or all of one cause that nobody has redriven."""

    targets: Annotated[list[_Letter], Field(max_length=MAX_TARGETS)] = []
    code: _Text | None = None
    source: _Text | None = None
    object: _Text | None = None
    topic: _Text | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if bool(self.targets) == (self.code is not None):
            raise ValueError("give targets, or a cause by its code")
        return self


class PayloadAsk(Ask):
    """One dead letter."""

    targets: Annotated[list[_Letter], Field(min_length=1, max_length=1)]


_Ask = TypeVar("_Ask", bound=Ask)


def parse_ask(model: type[_Ask], values: dict[str, object]) -> _Ask:
    """Check the fields of a call.

    Raises:
        ExhaustError: INVALID_DATA_ERROR; it names each wrong field, and no value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [("".join(f"/{part}" for part in place), what) for place, what in violations(error)]
        message = "; ".join(f"{pointer.removeprefix('/') or 'the fields'}: {what}" for pointer, what in found)
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, message, violations=found) from error
