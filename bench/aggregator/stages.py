"""The stages of a scan and their times: `python -m bench.aggregator.stages BLOCK` scans one object and samples it.

About every millisecond the module of ours that is at work is noted, also when it has called a library. So nothing of
the engine is changed or left out to be measured.
"""

from __future__ import annotations

import gc
import json
import pickle
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.aggregator.generated_data import CHANNELS
from bench.errors import BenchError
from services.aggregator.scan.selector import Selection
from services.aggregator.scan.size_guard import SourceLimits
from services.aggregator.scan.source_scan import ScanJob, SourceScan
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_EVERY_S: Final = 0.001
_PASSES: Final = 10
_LIMIT_S: Final = 300
_CHUNK: Final = 1024 * 1024
_LIMITS: Final = SourceLimits(max_bytes=2**40, max_ratio=10_000, ratio_grace=2**30, max_members=1000, max_line=2**20)
_SCAN: Final = "services.aggregator.scan."
_STAGES: Final = {
    "inflate": (f"{_SCAN}inflater", f"{_SCAN}gzip_passthrough", f"{_SCAN}size_guard"),
    "lines": (f"{_SCAN}lines",),
    "prefilter": (f"{_SCAN}line_prefilter",),
    "decode": ("telemetry.line",),
    "ownership": ("telemetry.ownership", "telemetry.resource_ids"),
    "select": (f"{_SCAN}selector",),
    "count whole": (f"{_SCAN}whole_object_counter",),
    "statistics": (f"{_SCAN}scan_stats", "telemetry.event_metadata"),
    "deflate": (
        "services.aggregator.archive.deflate",
        "services.aggregator.archive.zip_format",
    ),
}
_STAGE_OF: Final = {module: stage for stage, modules in _STAGES.items() for module in modules}
_PICKLE: Final = "pickle"
STAGES: Final = (*_STAGES, _PICKLE)


def measure_stages(block: Path) -> dict[str, dict[str, float]]:
    """Return the milliseconds that each stage of a scan takes of one object, for each kind of selection.

    Raises:
        BenchError: the process that measures failed.
    """
    program = (sys.executable, "-m", __name__, str(block))
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    if done.returncode:
        raise BenchError(f"{__name__} ended with {done.returncode}: {done.stderr[-1000:]}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def selections() -> Mapping[str, Sequence[Selection]]:
    """Return the kinds of selections, by name."""

    def wanting(resource: str | None, owner: str | None) -> Selection:
        return Selection(resource, owner, (), frozenset(), "in.ekstep")

    every = [wanting(resource_id(channel), channel) for channel in CHANNELS]
    return {
        "one channel": every[3:4],
        "one channel, known by its hash alone": [wanting(every[3].resource, None)],
        f"{len(every)} channels": every,
        "whole": [wanting(None, None)],
    }


def sampled(block: bytes, selected: Sequence[Selection], passes: int) -> dict[str, float]:
    """Return the milliseconds of one pass, by stage."""
    taken: defaultdict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def note(_signal: int, frame: FrameType | None) -> None:
        # Python takes a signal when a call into a library returns, so that samples are not all of the same length.
        nonlocal last
        now = time.perf_counter()
        taken[_stage(frame)] += now - last
        last = now

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, _EVERY_S, _EVERY_S)
    try:
        for _ in range(passes):
            scan_block(block, selected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return {stage: 1000 * seconds / passes for stage, seconds in taken.items()}


def scan_block(block: bytes, selected: Sequence[Selection]) -> None:
    """Scan an object, as a scan worker does."""
    scan = SourceScan(ScanJob("block.json.gz", _LIMITS, selected))
    for start in range(0, len(block), _CHUNK):
        pickle.dumps(scan.feed(block[start : start + _CHUNK]))
    pickle.dumps(scan.finish())


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        if stage := _STAGE_OF.get(frame.f_globals["__name__"]):
            return stage
        frame = frame.f_back
    return _PICKLE


def main() -> None:
    """Run the process that measures, and print its answer as JSON."""
    block = Path(sys.argv[1]).read_bytes()
    gc.set_threshold(100_000)  # as a scan worker does
    found = {}
    for name, selected in selections().items():
        scan_block(block, selected)  # once without counting
        found[name] = sampled(block, selected, _PASSES)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
