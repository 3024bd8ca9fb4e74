"""What somebody chooses in the portal: days of a resource in a dataset, and for whom."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from services.gateway.portal.operations import path_of
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = ("dataset", "resource", "kind", "partner", "first", "last")
KINDS: Final = frozenset({"partner", "channel", "resource"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice.

    Attributes:
        kind: what the resource belongs to: partner, channel, or resource when that is not known.
        partner: the plain id of the partner or channel; of a resource, the partner for whom it is asked.
        first: the first day, as it was written.
    """

    dataset: str
    resource: str
    kind: str
    partner: str
    first: str
    last: str

    @property
    def names_owner(self) -> bool:
        """True when the partner or channel is the one whose resource it is."""
        return bool(self.partner) and resource_id(self.partner) == self.resource

    @property
    def path(self) -> str:
        """The path of the operation that submits it."""
        template = "/v2/datasets/{dataset}/{resource}/{first}/{last}"
        return path_of(template, dataset=self.dataset, resource=self.resource, first=self.first, last=self.last)

    def fields(self) -> dict[str, str]:
        """Return the fields of a form that stands for it."""
        return asdict(self)


def choice_of(given: Mapping[str, str]) -> Choice:
    """Read a choice from a query or a form.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for a field that is missing; MISSING_PARTNERID without a partner.
    """
    found = {name: given.get(name, "").strip() for name in FIELDS}
    for name, label in (("dataset", "a dataset"), ("resource", "a resource"), ("first", "the first day")):
        if not found[name]:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"choose {label}")
    if found["kind"] not in KINDS:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"kind must be one of {', '.join(sorted(KINDS))}")
    if not found["partner"]:
        raise ExhaustError(ErrorCode.MISSING_PARTNERID, "name the partner for whom you ask")
    return Choice(**found | {"last": found["last"] or found["first"]})
