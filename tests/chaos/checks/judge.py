"""The judge: it waits until things are quiet, gathers the facts, and holds all invariants against them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from tests.chaos.checks import invariants
from tests.chaos.checks.facts import COMPLETIONS, DAYS, LETTERS, REQUESTS, Facts, gather_facts, list_uploads
from tests.chaos.checks.output import no_secret_anywhere, no_unhandled_fault
from tests.chaos.checks.processes import Usage, measure, within_bounds
from tests.chaos.checks.stored_objects import Downloads, nothing_lies_about

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.chaos.clients import Clients
    from tests.chaos.rig import Rig

QUIET_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.25
_QUIET_LOOKS: Final = 3
_SMALL: Final = 64 * 1024
_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
_OPEN: Final = """
SELECT (SELECT count(*) FROM requests WHERE state IN ('submitted', 'inprogress')) + (SELECT count(*) FROM outbox)
"""
_BY_REQUESTS: Final = {
    "I1": invariants.each_accepted_request_has_one_row_and_one_end,
    "I2": invariants.ends_stay_and_requests_only_move_forward,
    "I3": invariants.accepted_published_and_completed_are_the_same,
    "I6": invariants.offsets_are_at_their_ends,
    "I11": invariants.each_event_counts_once,
    "I12": invariants.committed_offsets_never_go_back,
}


@dataclass(slots=True)
class Verdict:
    """The violations that were found, by invariant.

    Attributes:
        quiet_after: seconds until things were quiet.
        counted: what was looked at.
    """

    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    quiet_after: float = 0.0
    counted: dict[str, int] = field(default_factory=dict)

    def add(self, invariant: str, found: Iterable[str]) -> None:
        violations = list(found)
        if violations:
            self.violations[invariant] += violations


@dataclass(slots=True)
class Judge:
    """Judges one system, as often as asked.

    Attributes:
        start: what each process held when it was new and idle.
    """

    rig: Rig
    clients: Clients
    downloads: Downloads
    start: dict[str, Usage] = field(default_factory=dict)

    @classmethod
    def of(cls, rig: Rig, clients: Clients, scratch: Path) -> Judge:
        return cls(rig, clients, Downloads(rig, clients, scratch))

    async def note_start(self) -> None:
        """Remember what the processes hold now, for I9."""
        self.start = await measure(self.rig)

    async def judge(self, *, quiet_within: float = QUIET_WITHIN_S) -> Verdict:
        """Wait for quiet, and check I1 to I12."""
        verdict = Verdict()
        await self._quiet(verdict, quiet_within)
        await self.clients.finish(within=10.0)
        await self._reap_uploads()
        facts = await gather_facts(self.rig)
        for name, check in _BY_REQUESTS.items():
            verdict.add(name, check(facts, self.rig.history))
        wrong, foreign = await self.downloads.check(facts)
        verdict.add("I4", wrong)
        verdict.add("I7", foreign)
        verdict.add("I5", nothing_lies_about(facts))
        verdict.add("I8", no_secret_anywhere(facts, self.rig.history.secrets, await self._small_objects(facts)))
        verdict.add("I9", within_bounds(await measure(self.rig), self.start))
        verdict.add("I10", no_unhandled_fault(facts))
        verdict.add("I10", (end for child in self.rig.children for end in child.bad_exits))
        verdict.counted = _counted(facts)
        return verdict

    async def _quiet(self, verdict: Verdict, within: float) -> None:
        """Wait until nothing is under way; say what still is when the time is over."""
        began = time.monotonic()
        looks = 0
        while looks < _QUIET_LOOKS:
            await asyncio.sleep(_LOOK_EVERY_S)
            restless = await self._restless()
            looks = 0 if restless else looks + 1
            if restless and time.monotonic() - began > within:
                verdict.add("quiet", [f"not quiet after {within:.0f} s: {restless}"])
                break
        verdict.quiet_after = time.monotonic() - began

    async def _restless(self) -> str:
        """Return what is still under way; empty when nothing is."""
        try:
            if number := await self.rig.database.fetchval(_OPEN):
                return f"{number} open requests and rows of the outbox"
        except _AWAY as error:
            return f"PostgreSQL: {type(error).__name__}"
        facts = Facts(
            ends={topic: self.rig.topics.ends(topic) for topic in (REQUESTS, DAYS, COMPLETIONS)},
            commits=list(self.rig.topics.commits()),
        )
        if lag := facts.lag():
            return f"lag {lag}"
        asked = [child for child in self.rig.children if child.wanted]
        # In threads, since the proxies before the servers are at work in this one.
        ready = await asyncio.gather(*(asyncio.to_thread(child.answers_ready) for child in asked))
        unready = [child.name for child, is_ready in zip(asked, ready, strict=True) if not is_ready]
        return f"not ready: {unready}" if unready else ""

    async def _reap_uploads(self) -> None:
        """Have a new aggregator abort what killed ones left open, as one does at its start and every hour."""
        bucket = self.rig.stack.s3.exhaust_bucket
        if not await list_uploads(self.rig.store, bucket):
            return
        reaper = await self.rig.add("aggregator", EXHAUST_ABANDONED_AFTER="PT0S")
        await reaper.ready()
        deadline = time.monotonic() + 10
        while await list_uploads(self.rig.store, bucket) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
        await reaper.stop()

    async def _small_objects(self, facts: Facts) -> dict[str, bytes]:
        bucket = self.rig.stack.s3.exhaust_bucket
        keys = [key for key, size in facts.objects.items() if size < _SMALL and key.endswith(".json")]
        return {key: (await self.rig.store.call("GET", bucket, key))[1] for key in keys}


def _counted(facts: Facts) -> dict[str, int]:
    states: dict[str, int] = defaultdict(int)
    for row in facts.rows.values():
        states[row.state] += 1
    return dict(states) | {
        "events": len(facts.topics[COMPLETIONS]),
        "days": len(facts.topics[DAYS]),
        "dead letters": len(facts.topics[LETTERS]),
        "commits": len(facts.commits),
        "objects": len(facts.objects),
    }
