"""The command behind `make failures`: make each failure on a stack of its own, measure, and write the pages."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.recovery import data, disks, servers, services
from tests.recovery.figures import Figure, write
from tests.recovery.testbed import open_testbed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.recovery.testbed import Testbed

    Run = Callable[[Testbed], Awaitable[list[Figure]]]

# By name: the page, and the run. A page may have several.
RUNS: Final[dict[str, tuple[str, Run]]] = {
    "kafka-killed": ("kafka-away", servers.kafka_killed),
    "kafka-frozen": ("kafka-stalls", servers.kafka_frozen),
    "postgres-killed": ("postgres-away", servers.postgres_killed),
    "postgres-frozen": ("postgres-away", servers.postgres_frozen),
    "s3-killed": ("s3-away", servers.s3_killed),
    "s3-frozen": ("s3-away", servers.s3_frozen),
    "aggregator-killed": ("aggregator-killed", services.aggregator_killed),
    "aggregator-restarted": ("aggregator-killed", services.aggregator_restarted),
    "aggregator-frozen": ("aggregator-killed", services.aggregator_frozen),
    "gateway-killed": ("gateway-or-status-killed", services.gateway_killed),
    "gateway-frozen": ("gateway-or-status-killed", services.gateway_frozen),
    "status-killed": ("gateway-or-status-killed", services.status_killed),
    "status-frozen": ("gateway-or-status-killed", services.status_frozen),
    "scan-process-frozen": ("scan-process-frozen", services.scan_process_frozen),
    "dead-letters": ("dead-letters", data.dead_letters),
    "dead-letter-limit": ("dead-letter-limit", data.dead_letter_limit),
    "raw-object-damaged": ("raw-object-damaged", data.raw_object_damaged),
    "group-set-back": ("group-set-back", data.group_set_back),
    "scratch-full": ("disk-full", disks.scratch_full),
    "kafka-disk-full": ("disk-full", partial(disks.server_full, process="kafka")),
    "postgres-disk-full": ("disk-full", partial(disks.server_full, process="postgres")),
    "store-disk-full": ("disk-full", partial(disks.server_full, process="seaweedfs")),
}


async def measure(name: str) -> list[Figure]:
    async with open_testbed() as bed:
        return await RUNS[name][1](bed)


def about(name: str) -> str:
    """What a run does, in a sentence."""
    run = RUNS[name][1]
    return (run.func if isinstance(run, partial) else run).__doc__ or ""


def main() -> int:
    """Make the failures that the command line names; return 0 when every bar holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.recovery", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(RUNS), help="one failure; may repeat")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/operations/failures")
    options = parser.parse_args()
    holds = True
    for name in options.only or RUNS:
        began = time.monotonic()
        try:
            figures = asyncio.run(measure(name))
        except (AssertionError, TimeoutError) as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            holds = False
            continue
        print(f"{name} ({time.monotonic() - began:.0f} s)")
        for figure in figures:
            print(f"  {figure.row()}{'' if figure.holds else '   <-- over the bar'}", flush=True)
        holds = holds and all(figure.holds for figure in figures)
        if options.write:
            write(RUNS[name][0], name, about(name), figures)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
