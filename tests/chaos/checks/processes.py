"""The invariants of processes: memory within bounds, and descriptors, tasks and threads back where they started."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.rig import Rig

MIB: Final = 1024**2
MEMORY: Final = {"gateway": 256 * MIB, "status": 256 * MIB, "aggregator": 256 * MIB}
SLACK: Final = 5
_PROBE_WITHIN_S: Final = 5.0
_SOCKET: Final = re.compile(r"socket:\[([0-9]+)\]")
_LISTENS: Final = "0A"
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds.

    Attributes:
        memory: resident bytes.
        descriptors: open files, but for connections that pools keep up to their size: to PostgreSQL, S3 and the status
            service, and from those who call.
        tasks: but for one for each connection of somebody who calls.
        running: the number of tasks of each coroutine.
    """

    memory: int
    descriptors: int
    tasks: int
    threads: int
    running: Mapping[str, int]


async def measure(rig: Rig) -> dict[str, Usage]:
    """Measure each service process that runs, by name."""
    children = [child for child in rig.children if child.wanted]
    pooled = _pooled_ports(rig)
    found = {}
    for child in children:
        answers = await _probe(rig.folder / "probes", child.pid)
        called = {port for name, port in child.environment.items() if name.endswith("PORT")}
        inbound = _inodes(1, {int(port) for port in called})
        descriptors, calls = _descriptors(child.pid, _inodes(2, pooled), inbound)
        memory = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * _PAGE
        found[child.name] = Usage(
            memory, descriptors, sum(answers.tasks.values()) - calls, answers.threads, answers.tasks
        )
    return found


def within_bounds(now: Mapping[str, Usage], start: Mapping[str, Usage]) -> Iterator[str]:
    """I9."""
    for name, usage in now.items():
        kind = name.partition("-")[0]
        if usage.memory > MEMORY[kind]:
            yield f"{name} holds {usage.memory // MIB} MiB, more than {MEMORY[kind] // MIB}"
        before = start.get(name)
        if before is None:
            continue
        for what in ("descriptors", "tasks", "threads"):
            had, has = getattr(before, what), getattr(usage, what)
            if has > had + SLACK:
                more = dict(Counter(usage.running) - Counter(before.running)) if what == "tasks" else ""
                yield f"{name} has {has} {what}, and began with {had} {more}".rstrip()


@dataclass(frozen=True, slots=True)
class _Answer:
    tasks: Mapping[str, int]
    threads: int


async def _probe(folder: Path, pid: int) -> _Answer:
    answer = folder / f"{pid}.json"
    answer.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    async with asyncio.timeout(_PROBE_WITHIN_S):
        while not answer.exists():
            await asyncio.sleep(0.02)
    return _Answer(**json.loads(answer.read_text()))


def _pooled_ports(rig: Rig) -> set[int]:
    return rig.pooled_ports | {child.port for child in rig.of("status")} | {front.port for front in rig.fronts.values()}


def _descriptors(pid: int, pooled: set[str], inbound: set[str]) -> tuple[int, int]:
    """Return how many descriptors are the process's own, and how many are connections of those who call."""
    own = calls = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found = _SOCKET.fullmatch(str(path.readlink()))
            inode = found[1] if found else ""
            calls += inode in inbound
            own += inode not in inbound and inode not in pooled
    return own, calls


def _inodes(field: int, ports: set[int]) -> set[str]:
    """Return the inodes of the connections whose local (1) or remote (2) port is one of these (proc(5), net/tcp)."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    connected = (line for line in lines if line[3] != _LISTENS)
    return {line[9] for line in connected if int(line[field].rpartition(":")[2], 16) in ports}
