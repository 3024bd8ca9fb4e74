"""A disk that is full for a while: of the servers, and of the aggregators' temporary files."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Final

from tests.chaos.clients import load
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios.kills import flows_again

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.scenario import Run

PER_SECOND: Final = 4.0
FULL_S: Final = 8.0
_BLOCK: Final = 1024 * 1024


async def _play(run: Run) -> None:
    """Fill the servers' disk, or that of the temporary files, in turn; then make room and start what has ended."""
    places = (run.rig.folder / "data", run.rig.folder / "temporary")
    async with load(run.clients, PER_SECOND):
        for number in range(run.count):
            await run.rig.raw.add_days(2)
            await run.rig.raw.add_large_day()
            place = places[number % len(places)]
            await asyncio.to_thread(_fill, place)
            run.timeline.fault("disk full", place.name)
            run.clients.begin(run.rig.raw.ask_large(), keyed=True)
            await asyncio.sleep(FULL_S)
            (place / "ballast").unlink()
            await run.rig.start_servers()
            run.timeline.note("there is room again")
            await flows_again(run)
    await asyncio.gather(*(child.ready() for child in run.rig.children))


def _fill(place: Path) -> None:
    """Leave no byte free."""
    with (place / "ballast").open("wb", buffering=0) as ballast:
        while (free := shutil.disk_usage(place).free) > 0:
            try:
                os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), min(free, 64 * _BLOCK))
            except OSError:
                return


DISK: Final = Scenario("disk", _play, short=2, long=6, own_disks=True)
