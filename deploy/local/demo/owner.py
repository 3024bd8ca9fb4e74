"""The choice of the owner whose telemetry the demo asks for."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deploy.local.independent_count import lines_of
from deploy.local.independent_events import channel_of, partners_of, resource_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.local.independent_events import Event


@dataclass(frozen=True, slots=True)
class Owner:
    """A channel or a partner with telemetry: its id, its resource id and how many events it has of which versions."""

    kind: Literal["channel", "partner"]
    identifier: str
    resource: str
    events: int
    families: tuple[str, ...]


def choose_owner(objects: Iterable[bytes], default_channel: str, among: frozenset[str]) -> Owner | None:
    """Choose the owner with events in the most version families (1.x, 2.x, 3.x), then with the most events.

    Args:
        objects: Raw gzip objects.
        default_channel: The channel of events that name none.
        among: The ids to choose from; empty for all.

    Returns:
        The owner; None when no event has one to choose.
    """
    events: Counter[str] = Counter()
    families: defaultdict[str, set[str]] = defaultdict(set)
    channels: set[str] = set()
    for data in objects:
        for _line, event in lines_of(data):
            if event is None:
                continue
            channel = channel_of(event, default_channel)
            of_channel = set() if channel is None else {channel}
            channels |= of_channel
            for identifier in of_channel.union(partners_of(event)):
                events[identifier] += 1
                families[identifier].update(_family(event))
    candidates = [identifier for identifier in sorted(events) if not among or identifier in among]
    if not candidates:
        return None
    best = max(candidates, key=lambda identifier: (len(families[identifier]), events[identifier]))
    kind: Literal["channel", "partner"] = "channel" if best in channels else "partner"
    return Owner(kind, best, resource_of(best), events[best], tuple(sorted(families[best])))


def _family(event: Event) -> list[str]:
    version = event.get("ver")
    if isinstance(version, str) and version[:2] in {"1.", "2.", "3."}:
        return [f"{version[0]}.x"]
    return []
