"""The partners' command `exhaust`, run as a partner runs it; its bar is drawn among the demo's lines."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Final, cast

from deploy.local.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_PREFIX: Final = "EXHAUST_"


class PartnerCommand:
    """The command with the profile of the demo; settings of whoever runs the demo do not count."""

    def __init__(self, profiles: Path) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
        # The servers are on this machine, so no proxy is in between.
        self._environment = {**ours, "EXHAUST_PROFILES_FILE": str(profiles.absolute()), "NO_PROXY": "*"}

    async def rows(self, *words: str, stdin: str = "") -> list[Mapping[str, object]]:
        """Run a command to its end, and return its rows.

        Raises:
            DemoError: If it ends with another exit code than 0; it has said why on stderr.
        """
        return [json.loads(line) async for line in self.lines(*words, "--json", stdin=stdin)]

    async def lines(self, *words: str, stdin: str = "") -> AsyncIterator[bytes]:
        """Run a command, and return the lines of its output one by one.

        Raises:
            DemoError: If it ends with another exit code than 0; it has said why on stderr.
        """
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "telemetry_exhaust", *words)
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdin=pipe, stdout=pipe)
        told = cast("asyncio.StreamWriter", process.stdin)
        told.write(stdin.encode())
        told.close()
        async for line in cast("asyncio.StreamReader", process.stdout):
            yield line
        if await process.wait():
            raise DemoError(f"{shown(*words)} ended with {process.returncode}")


def shown(*words: str) -> str:
    """Return a command as one types it."""
    return shlex.join(("exhaust", *words))
