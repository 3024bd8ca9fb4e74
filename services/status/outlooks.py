"""Where requests in progress stand, why, and when they will be complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.postgres.partner_lines import PartnerLine, find_pace, find_partner_lines, tell_positions
from services.status import because
from services.status.eta import before_submit, once_released, while_building, while_joining, while_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from uuid import UUID

    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.database import Database
    from exhaust.postgres.partner_lines import Pace
    from exhaust.postgres.request_views import RequestView
    from services.status.eta import Remaining

LINE_FOR: Final = timedelta(seconds=1)  # so long the line of a partner is not looked at again
PACE_FOR: Final = timedelta(seconds=5)
PACE_WITHIN: Final = timedelta(days=1)
MAX_LINES: Final = 1000  # partners whose line is remembered


class Phase(StrEnum):
    """The phases of a request in progress."""

    WAITING = "waiting"
    BUILDING = "building"
    JOINING = "joining"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a request in progress stands.

    Attributes:
        because: why, in one sentence for its partner.
        position: its place among those of its partner that wait, from 1; None when it does not wait.
        eta: when it will be complete; None when that is not known.
    """

    phase: Phase
    because: str
    position: int | None = None
    eta: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, object]:
        """Return what a status has of it."""
        told: dict[str, object] = {"phase": self.phase.value, "because": self.because}
        if self.position is not None:
            told["position"] = self.position
        if self.eta is not None:
            told["eta"] = self.eta
        return told


class Outlooks:
    """Finds the outlooks of requests. What many who ask would look up is looked up once in a while."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        clock: Callable[[], float],
        *,
        max_in_flight: int,
        no_progress_after: timedelta,
    ) -> None:
        """Prepare.

        Args:
            database: with the status service's role.
            catalogue: says who builds a dataset.
            clock: monotonic seconds.
            max_in_flight: released and unfinished requests that a partner may have.
            no_progress_after: when a request without progress is tried again.
        """
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._no_progress_after = no_progress_after
        self._lines: dict[str, tuple[float, PartnerLine]] = {}
        self._pace: tuple[float, Pace | None] = (float("-inf"), None)

    async def find(self, views: Collection[RequestView]) -> Mapping[UUID, Outlook]:
        """Return the outlooks of those of the requests that are in progress.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        unfinished = [view for view in views if not view.state.is_terminal]
        if not unfinished:
            return {}
        pace = await self._find_pace()
        waiting = [view for view in unfinished if view.waiting_since is not None]
        lines = await self._find_lines(waiting)
        positions = await self._tell(waiting, lines)
        return {
            view.request_id: self._waiting(view, lines[view.partner], positions.get(view.request_id), pace)
            if view.waiting_since is not None
            else self._released(view, pace)
            for view in unfinished
        }

    async def forecast(self, dataset: str, partner: str, *, days: int, to_build: int) -> Remaining | None:
        """Forecast for a request that would be submitted now; None when nothing tells how long it would take.

        Args:
            dataset: the dataset's own id.
            partner: the resource id of the partner that would submit it.
            days: that it would have.
            to_build: those of them whose archive is not there.

        Raises:
            ExhaustError: SERVICE_UNAVAILABLE.
        """
        if not self._is_built_here(dataset):
            return None
        lines = await find_partner_lines(self._database, [partner])
        pace = await self._find_pace()
        return before_submit(pace, lines[partner], days, to_build, max_in_flight=self._max_in_flight)

    def _waiting(self, view: RequestView, line: PartnerLine, position: int | None, pace: Pace | None) -> Outlook:
        if position is None:
            return Outlook(Phase.WAITING, because.PARKED, view.told_position)
        waiting = line.waiting.get(view.request_id)
        sentence = because.waits_because(view, waiting, line, position, self._max_in_flight)
        eta = None
        if self._is_built_here(view.dataset) and waiting is None:
            eta = once_released(pace, len(view.days))
        elif self._is_built_here(view.dataset) and waiting is not None and waiting.paused is None:
            eta = while_waiting(waiting, line, pace, len(view.days))
        return _outlook(view, Phase.WAITING, sentence, eta, position)

    def _released(self, view: RequestView, pace: Pace | None) -> Outlook:
        if view.parked:
            return Outlook(Phase.BUILDING, because.PARKED)
        if not self._is_built_here(view.dataset):
            return Outlook(Phase.BUILDING, because.ELSEWHERE)
        joins = view.days_done == len(view.days)
        sentence = because.builds_because(view, self._no_progress_after)
        eta = while_joining(view) if joins else while_building(view, pace)
        return _outlook(view, Phase.JOINING if joins else Phase.BUILDING, sentence, eta)

    def _is_built_here(self, name: str) -> bool:
        dataset = self._catalogue.find(name)
        return dataset is None or dataset.is_built_here

    async def _find_pace(self) -> Pace | None:
        now = self._clock()
        until, pace = self._pace
        if now >= until:
            self._pace = now + PACE_FOR.total_seconds(), pace  # whoever asks meanwhile takes the old one
            pace = await find_pace(self._database, within=PACE_WITHIN)
            self._pace = now + PACE_FOR.total_seconds(), pace
        return pace

    async def _find_lines(self, waiting: Collection[RequestView]) -> Mapping[str, PartnerLine]:
        """Return the lines of the partners of these requests, looked at anew where they are old or lack one of them."""
        now = self._clock()
        wanted = {view.partner for view in waiting}
        old = {view.partner for view in waiting if not self._stands_in_line(view, now)}
        if old:
            for partner, line in (await find_partner_lines(self._database, old)).items():
                self._lines.pop(partner, None)
                self._lines[partner] = now + LINE_FOR.total_seconds(), line
        lines = {partner: self._lines[partner][1] for partner in wanted}
        while len(self._lines) > MAX_LINES:
            self._lines.pop(next(iter(self._lines)))
        return lines

    def _stands_in_line(self, view: RequestView, now: float) -> bool:
        """Return True when the line of a request's partner is remembered, and has it."""
        until, line = self._lines.get(view.partner, (float("-inf"), None))
        if line is None or now >= until:
            return False
        return view.claimed or view.parked or view.request_id in line.waiting

    async def _tell(self, waiting: Collection[RequestView], lines: Mapping[str, PartnerLine]) -> Mapping[UUID, int]:
        """Return the positions to tell; one that is less than what was told before is kept."""
        positions: dict[UUID, int] = {}
        lower: dict[UUID, int] = {}
        for view in waiting:
            if view.parked:  # it stands in no line
                continue
            found = lines[view.partner].waiting.get(view.request_id)
            position = found.turn if found else 1
            if view.told_position is None or position < view.told_position:
                lower[view.request_id] = position
            positions[view.request_id] = min(position, view.told_position or position)
        return positions | (await tell_positions(self._database, lower) if lower else {})


def _outlook(
    view: RequestView, phase: Phase, sentence: str, remaining: Remaining | None, position: int | None = None
) -> Outlook:
    eta = remaining.to_json(view.seen_at) if remaining else None
    return Outlook(phase, because.of_attempt(view, sentence), position, eta)
