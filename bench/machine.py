"""The description of the machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine() -> dict[str, str]:
    """Return the machine's cores, processor, memory, system and load, as text."""
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    total = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cores": str(os.cpu_count()),
        "processor": processor[1] if processor else platform.machine(),
        "memory": f"{int(total[1]) / 1024**2:.0f} GiB" if total else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }
