"""Python runs this at the start of each service of a run: it makes the process answer probes, and applies mutants.

At SIGUSR2 a process writes into the folder CHAOS_PROBES how many threads and which tasks it has. No product code
knows of it.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType


def _answer(_number: int, _frame: FrameType | None) -> None:
    try:
        tasks = Counter(getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    except RuntimeError:
        tasks = Counter()
    answer = Path(os.environ["CHAOS_PROBES"], f"{os.getpid()}.json")
    written = answer.with_suffix(".new")
    written.write_text(json.dumps({"tasks": tasks, "threads": threading.active_count()}))
    written.replace(answer)


if "CHAOS_PROBES" in os.environ:
    signal.signal(signal.SIGUSR2, _answer)
if "CHAOS_MUTANT" in os.environ:
    sys.path.insert(0, os.environ["CHAOS_ROOT"])
    from tests.chaos.mutants import apply_mutants

    apply_mutants(os.environ["CHAOS_MUTANT"])
