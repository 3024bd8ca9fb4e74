"""Disks that are full. Each is a tmpfs, which only root may mount."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from telemetry.generator import generate
from tests.recovery.figures import Figure, by_number
from tests.recovery.load import Load, flows_again, load
from tests.recovery.servers import BAR_S, ended_well
from tests.recovery.testbed import FOLDER, PLAN, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.recovery.testbed import Testbed

FULL_S: Final = 30.0
LARGE: Final = replace(PLAN, days=(date(2026, 8, 20),), events_per_day=60_000)
_LARGE_REQUESTS: Final = 3
_SCRATCH_MIB: Final = 8
_SERVER_MIB: Final = 768
_MIB: Final = 1024 * 1024
_PAGE: Final = 4096
_MOUNT, _UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"


async def scratch_full(bed: Testbed) -> list[Figure]:
    """The folder for temporary files of the only aggregator is full, and some days are large enough to need it."""
    for raw in generate(LARGE):
        await bed.objects.put(bed.stack.s3.raw_bucket, f"raw/{raw.name}", raw.data)
    other = bed.others["aggregator-2"]
    assert await other.stop() == 0
    with disk("scratch", _SCRATCH_MIB) as scratch:
        other.settings["TMPDIR"] = str(scratch)
        await other.start(bed.http)
        os.kill(bed.stack.processes["aggregator"], signal.SIGTERM)
        del bed.logs["aggregator"]
        bed.mark_logs()
        _fill(scratch)
        large = Load(bed)
        for _ in range(_LARGE_REQUESTS):
            await large.submit(LARGE.days[0])
        async with load(bed) as small:
            await asyncio.sleep(FULL_S)
            waiting = await bed.states(large.accepted)
            began = time.monotonic()
            _freed(scratch)
            await large.all_complete()
            took = time.monotonic() - began
        completed = await small.all_complete()
        figures = [
            Figure("large days while it is full", by_number(waiting)),
            Figure("from when there is room again until they are complete", took, BAR_S),
            Figure("small days meanwhile: from the last submit until all are complete", completed),
            *await ended_well(bed, small),
        ]
        assert await other.stop() == 0
    return figures


async def server_full(bed: Testbed, process: str) -> list[Figure]:
    """The disk of a server is full; when there is room again, the server is started if it has ended."""
    data = FOLDER / "data" / process
    with disk(process, _SERVER_MIB) as place:
        await _end(bed, process)
        moved = place / "data"
        await asyncio.to_thread(subprocess.run, ["cp", "-a", "--sparse=always", str(data), str(moved)], check=True)
        shutil.rmtree(data)
        data.symlink_to(moved)
        await bed.restart(services=False)
        await flows_again(bed)

        async def free() -> None:
            _freed(place)
            await bed.restart(services=False)

        figures = await _full(bed, place, free)
        await _end(bed, process)
        return figures


async def _end(bed: Testbed, process: str) -> None:
    """Ask a server to end, and wait for that. On SIGTERM PostgreSQL waits for its clients."""
    pid = bed.stack.processes[process]
    os.kill(pid, signal.SIGINT if process == "postgres" else signal.SIGTERM)
    await until(partial(_has_ended, pid))


async def _has_ended(pid: int) -> bool:
    """True of a zombie, too: whoever started it need not have noticed its end."""
    try:
        stat = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


async def _full(bed: Testbed, place: Path, free: Callable[[], Awaitable[None]]) -> list[Figure]:
    async with load(bed) as made:
        await asyncio.sleep(3)
        bed.mark_logs()
        _fill(place)
        await asyncio.sleep(FULL_S)
        await free()
        flowing = await flows_again(bed)
    completed = await made.all_complete()
    return [
        Figure("from when there is room again until a request that is submitted then is complete", flowing, BAR_S),
        Figure("from the last submit until all that was accepted is complete", completed),
        Figure("submits while it was full and after", made.told()),
        *await ended_well(bed, made),
    ]


def _fill(place: Path) -> None:
    with (place / "ballast").open("wb", buffering=0) as file:
        for size in (_MIB, _PAGE):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def _freed(place: Path) -> None:
    (place / "ballast").unlink()


@contextmanager
def disk(name: str, mebibytes: int) -> Iterator[Path]:
    """A small disk, while the block runs."""
    place = FOLDER.with_name(f"test-recovery-{name}")
    place.mkdir(exist_ok=True)
    subprocess.run([_MOUNT, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run([_UMOUNT, "--lazy", str(place)], check=True)
        place.rmdir()
