"""What a summary tells, counted tree by tree in little memory."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from telemetry_exhaust.sessions.parts import FINISHED, LOOSE, STATES, UNFINISHED, WITHOUT_END, workflow_of
from telemetry_exhaust.sessions.rules import PLAYER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_exhaust.sessions.parts import Part

_MOST_NAMES: Final = 200_000  # of contents, or of types, that are told apart
_MOST_SHOWN: Final = 5
_OTHERS: Final = "others"


class Tally:
    """Numbers of many trees.

    Attributes:
        seconds: of each type, how long its parts lasted: until their END, or those without one until their last event.
        deviations: by kind.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, array[float]] = {}
        self.deviations: Counter[str] = Counter()
        self._trees: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._states: dict[str, Counter[str]] = {}
        self._contents: Counter[str] = Counter()
        self._screens = 0
        self._loose = 0

    def add(self, tree: Part) -> None:
        """Count a tree."""
        workflow = workflow_of(tree) or "none of the four"
        if tree.state != LOOSE:
            self._trees[workflow] += 1
        for part in tree.walk():
            events = part.own_events
            self._screens += part.screens
            if part.state == LOOSE:
                self._loose += events
                continue
            self._events[workflow] += events
            kind = part.type if part.type in self._states or len(self._states) < _MOST_NAMES else _OTHERS
            self._states.setdefault(kind, Counter())[part.state] += 1
            if part.state != UNFINISHED:
                self.seconds.setdefault(kind, array("d")).append(part.ms / 1000)
            if kind == PLAYER and part.about:
                known = part.about in self._contents or len(self._contents) < _MOST_NAMES
                self._contents[part.about if known else _OTHERS] += 1

    def workflows(self) -> Iterator[dict[str, Any]]:
        """Return a row for each workflow."""
        for workflow, trees in self._trees.most_common():
            yield {"workflow": workflow, "trees": trees, "events": self._events[workflow]}

    def parts(self) -> Iterator[dict[str, Any]]:
        """Return a row for each type of part."""
        for kind, states in sorted(self._states.items(), key=lambda item: -sum(item[1].values())):
            lasted = sorted(self.seconds.get(kind, ()))
            yield {
                "part": kind,
                "number": sum(states.values()),
                **{state: states[state] for state in STATES},
                "median seconds": round(lasted[len(lasted) // 2], 1) if lasted else None,
                "longest seconds": round(lasted[-1], 1) if lasted else None,
            }

    def figures(self) -> dict[str, int]:
        """Return numbers by name."""
        plays = self._states.get(PLAYER, Counter())
        return {
            "plays": sum(plays[state] for state in (FINISHED, UNFINISHED, WITHOUT_END)),
            "contents played": len(self._contents),
            "screens": self._screens,
            "events in no part": self._loose,
            **{f"deviations: {kind}": number for kind, number in self.deviations.most_common()},
        }

    def most_played(self) -> Iterator[dict[str, Any]]:
        """Return rows for the contents that were played most."""
        for content, plays in self._contents.most_common(_MOST_SHOWN):
            yield {"content": content, "plays": plays}
