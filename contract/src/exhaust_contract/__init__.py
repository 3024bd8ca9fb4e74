"""The contract of the events by which services report requests: examples, checks, builders, and compatibility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exhaust_contract.builders import Event, completed, failed, progressed
from exhaust_contract.checking import CheckedEvent, check
from exhaust_contract.refusals import RefusalCode, RefusedEventError

if TYPE_CHECKING:
    from collections.abc import Sequence

__version__: Final = "1.0.0"
__all__: Sequence[str] = [
    "CheckedEvent",
    "Event",
    "RefusalCode",
    "RefusedEventError",
    "check",
    "completed",
    "failed",
    "progressed",
]
