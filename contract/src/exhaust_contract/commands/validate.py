"""`exhaust-events validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust_contract.checking import check
from exhaust_contract.output import show, show_json, tell
from exhaust_contract.refusals import EXPLANATIONS, RefusedEventError
from exhaust_contract.written_events import read_events

if TYPE_CHECKING:
    from argparse import Namespace

    from exhaust_contract.written_events import WrittenEvent


def run(asked: Namespace) -> int:
    """Say of each event what the status service would say before it looks at the request; 1 if it refuses one."""
    refused = 0
    for event in read_events(asked.file):
        error = refusal_of(event)
        refused += error is not None
        if asked.json:
            show_json({"place": event.place} | verdict(error))
        elif error is None:
            show(f"{event.place}: right")
        else:
            show(told(event, error))
    if not asked.json and not refused:
        tell("Whether the request, the attempt and the archive are there, only the status service knows.")
    return 1 if refused else 0


def refusal_of(event: WrittenEvent) -> RefusedEventError | None:
    """Return the reason why an event does not count; None for one that is right."""
    try:
        check(event.headers, event.value)
    except RefusedEventError as error:
        return error
    return None


def verdict(error: RefusedEventError | None) -> dict[str, str]:
    """Return a verdict as JSON has it."""
    if error is None:
        return {"verdict": "right"}
    return {"verdict": "refused", "code": error.code.value, "pointer": error.pointer, "reason": error.reason}


def told(event: WrittenEvent, error: RefusedEventError) -> str:
    """Return a refusal as people read it."""
    where = f" at {error.pointer}" if error.pointer else ""
    return f"{event.place}: {error.code.value}{where}: {error.reason}. {EXPLANATIONS[error.code].do}"
