"""Servers that hang: they run, take connections, and answer nothing."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """Stop a process and all that descend from it, while the block runs."""
    members = family(process)
    for member in members:
        os.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT)


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    members = [process]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            members += map(int, children.read_text().split())
    return members
