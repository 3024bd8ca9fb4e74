"""`exhaust-events publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust_contract.commands.validate import refusal_of, told
from exhaust_contract.output import show, tell
from exhaust_contract.publishing import PublishError, client_settings, publish
from exhaust_contract.written_events import read_events

if TYPE_CHECKING:
    from argparse import Namespace


def run(asked: Namespace) -> int:
    """Send the events of a file, if all are right."""
    events = list(read_events(asked.file))
    refusals = [told(event, error) for event in events if (error := refusal_of(event)) is not None]
    for line in refusals:
        show(line)
    if refusals:
        tell("Nothing was sent.")
        return 1
    try:
        places = publish(events, client_settings(asked.bootstrap, asked.config))
    except PublishError as error:
        tell(str(error))
        return 3
    for event, place in zip(events, places, strict=True):
        show(f"{event.place}: {place}")
    return 0
